"""Molecules -> folds, and the task table that training jobs get, without the labels of the test folds.

Needs: results/data/{dataset}/molecules.parquet and the feature tables that the scheme reads.
Offers: results/splits/{dataset}/{property}/{scheme}.parquet, results/tasks/{dataset}/{property}/{scheme}.parquet, and beside
the latter a .json with the hash of the split, for who predicts the task elsewhere.
"""


rule make_split:
    input:
        molecules="results/data/{dataset}/molecules.parquet",
        features=plan.get_scheme_features,
    output:
        split="results/splits/{dataset}/{property}/{scheme}.parquet",
        task="results/tasks/{dataset}/{property}/{scheme}.parquet",
    log:
        "logs/make_split/{dataset}/{property}/{scheme}.log",
    benchmark:
        "logs/make_split/{dataset}/{property}/{scheme}.tsv"
    conda:
        "../envs/boomlib.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        properties=plan.get_property_names,
        settings=lookup("{dataset}/split", within=plan.datasets),
        feature_names=plan.get_scheme_feature_names,
        inputs=tell_lost_inputs,
        code=code_of("workflow_scripts.make_split", "boomlib.splits.{scheme}"),
    message:
        "Split {wildcards.dataset}/{wildcards.property} by {wildcards.scheme}"
    script:
        "../workflow_scripts/make_split.py"


rule describe_task:
    input:
        molecules="results/data/{dataset}/molecules.parquet",
        split="results/splits/{dataset}/{property}/{scheme}.parquet",
        task="results/tasks/{dataset}/{property}/{scheme}.parquet",
    output:
        described="results/tasks/{dataset}/{property}/{scheme}.json",
    log:
        "logs/describe_task/{dataset}/{property}/{scheme}.log",
    benchmark:
        "logs/describe_task/{dataset}/{property}/{scheme}.tsv"
    localrule: True
    conda:
        "../envs/boomlib.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        unit=lookup("{dataset}/properties/{property}/unit", within=plan.datasets),
        kind=lookup("{dataset}/properties/{property}/kind", within=plan.datasets),
        version=VERSION,
        inputs=tell_lost_inputs,
        code=code_of("workflow_scripts.describe_task"),
    message:
        "Describe {wildcards.dataset}/{wildcards.property}, {wildcards.scheme} split, with its hash"
    script:
        "../workflow_scripts/describe_task.py"
