"""Adapter of rule judge_uncertainty."""

from boomlib.evaluation.uncertainty import judge_uncertainty
from workflow_scripts.job import logged

if __name__ == "__main__":
    with logged(snakemake.log[0]):
        judge_uncertainty(
            snakemake.input.molecules,
            snakemake.input.split,
            dict(zip(snakemake.params.seeds, snakemake.input.predictions, strict=True)),
            snakemake.input.domain,
            snakemake.input.scores,
            snakemake.output.uncertainty,
            property_name=snakemake.wildcards.property,
            model=dict(snakemake.wildcards.items()),
            unit=snakemake.params.unit,
        )
