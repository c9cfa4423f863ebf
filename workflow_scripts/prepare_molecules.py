"""Adapter of rule prepare_molecules."""

from boomlib.datasets.prepare import prepare
from workflow_scripts.job import logged

if __name__ == "__main__":
    with logged(snakemake.log[0]):
        prepare(
            snakemake.params.dataset,
            [*snakemake.params.given, *snakemake.input.sources],
            snakemake.output.molecules,
            snakemake.output.rejects,
            snakemake.output.geometry,
            snakemake.output.doubles,
        )
