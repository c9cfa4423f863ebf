"""Molecules -> folds, and the task table that training jobs get, without the labels of the test folds.

Needs: results/data/{dataset}/molecules.parquet, results/features/{dataset}/scaffolds.parquet.
Offers: results/splits/{dataset}/{property}/{scheme}.parquet, results/tasks/{dataset}/{property}/{scheme}.parquet.
"""


rule make_split:
    input:
        molecules="results/data/{dataset}/molecules.parquet",
        scaffolds="results/features/{dataset}/scaffolds.parquet",
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
        properties=get_property_names,
        settings=lookup("{dataset}/split", within=DATASETS),
        code=code_of("workflow_scripts.make_split"),
    message:
        "Split {wildcards.dataset}/{wildcards.property} by {wildcards.scheme}"
    script:
        "../workflow_scripts/make_split.py"
