"""Adapter of rule plot_distribution."""

from boomlib.report.figures.distribution import plot_distribution
from workflow_scripts.job import logged

if __name__ == "__main__":
    entry = snakemake.params.entry
    with logged(snakemake.log[0]):
        plot_distribution(
            snakemake.input.molecules,
            snakemake.input.split,
            snakemake.output.figure,
            property_name=snakemake.wildcards.property,
            label=entry.get("label", snakemake.wildcards.property),
            unit=entry["unit"],
            scheme=snakemake.wildcards.scheme,
        )
