"""Adapter of rule plot_parity."""

from pathlib import Path

from boomlib.report.figures.overview import plot_parity
from workflow_scripts.job import logged

if __name__ == "__main__":
    entry = snakemake.params.entry
    with logged(snakemake.log[0]):
        predictions = {label: [] for label in snakemake.params.labels.values()}
        for path in map(Path, snakemake.input.predictions):
            predictions[snakemake.params.labels[path.parent.name]].append(path)
        plot_parity(
            snakemake.input.molecules,
            snakemake.input.split,
            predictions,
            snakemake.output.figure,
            property_name=snakemake.wildcards.property,
            label=entry.get("label", snakemake.wildcards.property),
            unit=entry["unit"],
        )
