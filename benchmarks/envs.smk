"""The workflow, which before it starts also writes what its jobs are to jobs.json (for benchmarks/envs.py)."""

import json
from pathlib import Path


include: "../Snakefile"


def describe_list(values):
    """Inputs, outputs, parameters or wildcards: all of them, and those that have a name."""
    return {"all": list(values), "named": dict(values.items())}


def describe_job(job):
    """What Snakemake hands to the script of a job, and the environment that runs it."""
    return {
        "rule": job.rule.name,
        "script": Path(job.rule.script).name,
        "environment": Path(job.rule.conda_env).name,
        "threads": job.threads,
        "log": list(job.log),
        "input": describe_list(job.input),
        "output": describe_list(job.output),
        "params": describe_list(job.params),
        "wildcards": describe_list(job.wildcards),
        "config": config,
    }


onstart:
    begin_jobs(workflow.dag)
    jobs = [job for level in workflow.dag.toposorted() for job in level]
    described = [describe_job(job) for job in jobs if job.rule.script]
    Path("jobs.json").write_text(json.dumps(described, default=str))
