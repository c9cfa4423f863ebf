"""Adapter of rule train_external: predictions that others have made."""

from boomlib.harness.job import Job
from boomlib.models.external import take_predictions
from workflow_scripts.job import logged

if __name__ == "__main__":
    with logged(snakemake.log[0]):
        job = Job(
            task=snakemake.input.task,
            features={},
            predictions=snakemake.output.predictions,
            run=snakemake.output.run,
            model={"class": snakemake.params.model_class, "parameters": snakemake.params.parameters},
            kind=snakemake.params.kind,
            property=snakemake.wildcards.property,
            seed=int(snakemake.wildcards.seed),
            log=snakemake.log[0],
        )
        (file,) = snakemake.params.given
        take_predictions(job, file, snakemake.input.described)
