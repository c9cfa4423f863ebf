"""Adapter of the rules train_…: fit one model and predict the test folds, or take what a publication has."""

from boomlib.harness.job import Job, train_and_predict
from boomlib.harness.keeping import describe_run
from workflow_scripts.job import logged

if __name__ == "__main__":
    wanted, given, made, run = snakemake.params, snakemake.input, snakemake.output, snakemake.wildcards
    with logged(snakemake.log[0], snakemake.threads, resumes=True):
        job = Job(
            task=given.task,
            features=dict(zip(wanted.feature_names, given.features, strict=not given.restored)),
            predictions=made.predictions,
            run=made.run,
            model={"class": wanted.model_class, "parameters": wanted.parameters},
            kind=wanted.kind,
            property=run.property,
            seed=int(run.seed),
            threads=snakemake.threads,
            observable=wanted.observable,
            keep=describe_run(snakemake.config, run) if wanted.keep_model else None,
            policy=made.get("policy"),
            checkpoint=[*given.checkpoint, *wanted.given],
            members=dict(zip(wanted.parameters.get("members", ()), given.members, strict=not given.restored)),
            truth=given.truth or None,
            fingerprint=wanted.fingerprint,
            restored=given.restored,
            log=snakemake.log[0],
        )
        train_and_predict(job)
