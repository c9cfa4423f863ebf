"""Adapter of rule plot_screen."""

from boomlib.report.figures.screened import plot_screen
from workflow_scripts.job import logged

if __name__ == "__main__":
    with logged(snakemake.log[0]):
        plot_screen(
            snakemake.input.molecules,
            snakemake.input.split,
            snakemake.input.predicted,
            snakemake.input.summary,
            snakemake.output.distribution,
            snakemake.output.extremes,
            key={name: snakemake.wildcards[name] for name in ("dataset", "property", "scheme", "model")},
            label=snakemake.params.entry.get("label", snakemake.wildcards.property),
        )
