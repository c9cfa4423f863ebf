"""Adapter of the rules featurize and featurize_part."""

from boomlib.featurize import compute_feature
from workflow_scripts.job import logged

if __name__ == "__main__":
    part, parts = snakemake.params.part
    with logged(snakemake.log[0]):
        compute_feature(
            snakemake.wildcards.feature,
            snakemake.input.molecules,
            snakemake.output.features,
            workers=snakemake.threads,
            part=(part - 1, parts),
            tables=dict(zip(snakemake.params.table_names, snakemake.input.tables, strict=True)),
            settings=snakemake.params.settings,
        )
