"""Adapter of rule summarise."""

from boomlib.evaluation.summary import write_summary
from boomlib.runs import Run
from workflow_scripts.job import logged

if __name__ == "__main__":
    with logged(snakemake.log[0]):
        runs = [Run(*run) for run in snakemake.params.runs]
        write_summary(
            "results", runs, snakemake.output.metrics, snakemake.output.runs, controls=snakemake.params.controls
        )
