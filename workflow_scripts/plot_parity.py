"""Adapter of rule plot_parity."""

from pathlib import Path

from boomlib.report.figures.parity import plot_parity
from workflow_scripts.job import logged

if __name__ == "__main__":
    entry = snakemake.params.entry
    with logged(snakemake.log[0]):
        predictions = {model: [] for model in snakemake.params.labels}
        for path in map(Path, snakemake.input.predictions):
            predictions[path.parent.name].append(path)
        plot_parity(
            snakemake.input.molecules,
            snakemake.input.split,
            predictions,
            snakemake.output.figure,
            labels=snakemake.params.labels,
            property_name=snakemake.wildcards.property,
            label=entry.get("label", snakemake.wildcards.property),
            unit=entry["unit"],
        )
