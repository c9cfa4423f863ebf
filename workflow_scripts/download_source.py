"""Adapter of rule download_source."""

from boomlib.datasets.fetch import fetch
from workflow_scripts.job import logged

if __name__ == "__main__":
    with logged(snakemake.log[0]):
        fetch(
            snakemake.wildcards.source,
            snakemake.params.source,
            snakemake.output.file,
            snakemake.config.get("mirror"),
        )
