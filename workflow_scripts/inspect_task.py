"""Adapter of rule inspect_task."""

import logging

from boomlib.evaluation.notes import inspect_task
from workflow_scripts.job import logged

if __name__ == "__main__":
    with logged(snakemake.log[0]):
        notes = inspect_task(
            snakemake.input.molecules,
            snakemake.input.split,
            snakemake.input.elements,
            snakemake.output.notes,
            property_name=snakemake.wildcards.property,
            kind=snakemake.params.kind,
            unit=snakemake.params.unit,
        )
        for note in notes:
            logging.getLogger("boomlib").warning(note)
