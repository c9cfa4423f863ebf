"""Adapter of rule describe_task."""

from boomlib.evaluation.task import describe_task
from workflow_scripts.job import logged

if __name__ == "__main__":
    with logged(snakemake.log[0]):
        described = describe_task(
            snakemake.input.molecules,
            snakemake.input.split,
            snakemake.output.described,
            dataset=snakemake.wildcards.dataset,
            property_name=snakemake.wildcards.property,
            scheme=snakemake.wildcards.scheme,
            unit=snakemake.params.unit,
            kind=snakemake.params.kind,
        )
        print(f"split {described['split']}, version {described['version']}")
