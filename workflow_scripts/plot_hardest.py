"""Adapter of rule plot_hardest."""

from boomlib.report.figures.hardest import plot_hardest
from workflow_scripts.job import logged

if __name__ == "__main__":
    with logged(snakemake.log[0]):
        plot_hardest(snakemake.input.hardest, snakemake.output.figure)
