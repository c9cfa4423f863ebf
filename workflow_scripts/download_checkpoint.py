"""Adapter of rule download_checkpoint."""

from pathlib import Path

from boomlib.text.hub import download_checkpoint
from workflow_scripts.job import logged

if __name__ == "__main__":
    with logged(snakemake.log[0]):
        download_checkpoint(
            f"{snakemake.wildcards.org}/{snakemake.wildcards.name}",
            snakemake.wildcards.revision,
            Path(snakemake.output.weights).parent,
            snakemake.config.get("mirror"),
        )
