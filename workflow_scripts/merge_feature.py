"""Adapter of rule merge_feature."""

from boomlib.featurize import merge_parts
from workflow_scripts.job import logged

if __name__ == "__main__":
    with logged(snakemake.log[0]):
        merge_parts(snakemake.input.parts, snakemake.output.features)
