"""Adapter of rule status."""

import time

from boomlib.files import write_text
from boomlib.status.page import write_status
from boomlib.status.reading import read_status
from boomlib.workflow import Plan
from workflow_scripts.job import logged

if __name__ == "__main__":
    with logged(snakemake.log[0]):
        write_text(snakemake.output.page, write_status(read_status(Plan(snakemake.config), time.time())))
