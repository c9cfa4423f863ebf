"""Adapter of rule evaluate."""

from boomlib.evaluation.score import score_run
from workflow_scripts.job import logged

if __name__ == "__main__":
    with logged(snakemake.log[0]):
        score_run(
            snakemake.input.molecules,
            snakemake.input.split,
            snakemake.input.predictions,
            snakemake.output.metrics,
            snakemake.output.resampled,
            property_name=snakemake.wildcards.property,
            run=dict(snakemake.wildcards.items()) | {"seed": int(snakemake.wildcards.seed)},
            unit=snakemake.params.unit,
        )
