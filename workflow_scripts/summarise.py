"""Adapter of rule summarise."""

from boomlib.evaluation.summary import write_summary
from boomlib.runs import Run
from workflow_scripts.job import logged

if __name__ == "__main__":
    with logged(snakemake.log[0]):
        write_summary("results", [Run(*run) for run in snakemake.params.runs], snakemake.output.csv)
