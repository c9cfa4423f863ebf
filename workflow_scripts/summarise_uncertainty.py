"""Adapter of rule summarise_uncertainty."""

from boomlib.evaluation.uncertainty import summarise_uncertainty
from workflow_scripts.job import logged

if __name__ == "__main__":
    with logged(snakemake.log[0]):
        summarise_uncertainty(snakemake.input.judged, snakemake.output.table)
