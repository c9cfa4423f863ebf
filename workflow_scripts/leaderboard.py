"""Adapter of rule leaderboard."""

from boomlib.report.build import write_config, write_markdown
from boomlib.runs import Run
from workflow_scripts.job import logged

if __name__ == "__main__":
    params = snakemake.params
    with logged(snakemake.log[0]):
        write_config(params.config, snakemake.output.config)
        write_markdown(
            "results",
            [Run(*run) for run in params.runs],
            config=params.config,
            datasets=params.datasets,
            models=params.models,
        )
