"""Adapter of rule count_exposed."""

from boomlib.text.exposure import count_exposed
from workflow_scripts.job import logged

if __name__ == "__main__":
    with logged(snakemake.log[0]):
        count_exposed(snakemake.input.corpus, snakemake.input.task, snakemake.output.exposure)
