"""Adapter of the rules train_…: fit one model, predict the test folds."""

from boomlib.harness.job import Job, train_and_predict
from boomlib.harness.keeping import describe_run
from workflow_scripts.job import logged

if __name__ == "__main__":
    with logged(snakemake.log[0], snakemake.threads, resumes=True):
        train_and_predict(
            Job(
                task=snakemake.input.task,
                features=dict(zip(snakemake.params.feature_names, snakemake.input.features, strict=True)),
                predictions=snakemake.output.predictions,
                run=snakemake.output.run,
                model={"class": snakemake.params.model_class, "parameters": snakemake.params.parameters},
                kind=snakemake.params.kind,
                property=snakemake.wildcards.property,
                seed=int(snakemake.wildcards.seed),
                threads=snakemake.threads,
                observable=snakemake.params.observable,
                keep=describe_run(snakemake.config, snakemake.wildcards) if snakemake.params.keep_model else None,
                policy=snakemake.output.get("policy"),
                checkpoint=[*snakemake.input.checkpoint, *snakemake.params.given],
                members=dict(
                    zip(snakemake.params.parameters.get("members", ()), snakemake.input.members, strict=True)
                ),
                truth=snakemake.input.truth or None,
                log=snakemake.log[0],
            )
        )
