"""Adapter of rule site."""

from boomlib.report.site.build import write_site
from workflow_scripts.job import logged

if __name__ == "__main__":
    params = snakemake.params
    with logged(snakemake.log[0]):
        write_site(
            snakemake.input.metrics,
            snakemake.input.runs,
            snakemake.output.index,
            config=params.config,
            datasets=params.datasets,
            models=params.models,
        )
