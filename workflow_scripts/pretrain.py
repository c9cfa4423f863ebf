"""Adapter of rule pretrain."""

from pathlib import Path

from boomlib import registry
from boomlib.harness.pretraining import pretrain
from workflow_scripts.job import logged

if __name__ == "__main__":
    with logged(snakemake.log[0], snakemake.threads, resumes=True):
        # not by `params`: the model is made with all parameters, but a change of most must not pretrain it again
        models = registry.with_variants(registry.load_models(), snakemake.config)
        pretrain(
            snakemake.input.corpus,
            Path(snakemake.output.weights).parent,
            model=models[snakemake.wildcards.model],
            settings=snakemake.params.settings,
            threads=snakemake.threads,
        )
