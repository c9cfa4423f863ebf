"""Adapter of rule leaderboard."""

from boomlib.report.build import write_config, write_markdown
from workflow_scripts.job import logged

if __name__ == "__main__":
    params = snakemake.params
    with logged(snakemake.log[0]):
        write_config(params.config, snakemake.output.config)
        write_markdown(
            snakemake.input.metrics,
            snakemake.input.runs,
            snakemake.output.markdown,
            config=params.config,
            datasets=params.datasets,
            models=params.models,
        )
