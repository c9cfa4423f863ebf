"""Adapter of rule plot_policy."""

import shutil
from pathlib import Path

from boomlib.report.figures.policy import plot_policy
from workflow_scripts.job import logged

if __name__ == "__main__":
    with logged(snakemake.log[0]):
        if snakemake.input.restored:
            shutil.copyfile(snakemake.input.restored[0], snakemake.output.figure)
        else:
            plot_policy(
                snakemake.input.molecules,
                snakemake.input.split,
                snakemake.input.policy,
                snakemake.input.epochs,
                Path(snakemake.input.run).with_name("history.csv"),
                snakemake.input.pairs,
                snakemake.input.scores,
                snakemake.output.figure,
                property_name=snakemake.wildcards.property,
                unit=snakemake.params.unit,
            )
