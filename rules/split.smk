"""Molecules -> folds, and the task table that training jobs get, without the labels of the test folds.

Needs: results/data/{dataset}/molecules.parquet and the feature tables that the scheme reads.
Offers: results/splits/{dataset}/{property}/{scheme}.parquet, results/tasks/{dataset}/{property}/{scheme}.parquet.
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
