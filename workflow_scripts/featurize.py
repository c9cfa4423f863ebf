"""Adapter of rule featurize."""

from boomlib.features.compute import compute_feature
from workflow_scripts.job import logged

if __name__ == "__main__":
    with logged(snakemake.log[0]):
        compute_feature(
            snakemake.wildcards.feature,
            snakemake.input.molecules,
            snakemake.output.features,
            snakemake.threads,
        )
