"""Adapter of rule write_screen."""

from boomlib.report.screen import write_screen
from workflow_scripts.job import logged

if __name__ == "__main__":
    with logged(snakemake.log[0]):
        write_screen(
            snakemake.input.summary,
            snakemake.input.uncertainty,
            snakemake.input.metrics,
            snakemake.input.figures,
            snakemake.output.page,
        )
