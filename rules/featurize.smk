"""Molecules -> feature tables, once a dataset, shared by all models.

Needs: results/data/{dataset}/molecules.parquet.
Offers: results/features/{dataset}/{feature}.parquet.
"""


rule featurize:
    input:
        molecules="results/data/{dataset}/molecules.parquet",
    output:
        features="results/features/{dataset}/{feature}.parquet",
    log:
        "logs/featurize/{dataset}/{feature}.log",
    wildcard_constraints:
        feature="descriptors|morgan_counts|elements|maccs|scaffolds",
    cache: "omit-software"
    conda:
        "../envs/boomlib.yaml"
    threads: 8
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code_of("boomlib.features.compute", "boomlib.features.{feature}"),
    message:
        "Compute {wildcards.feature} of {wildcards.dataset}"
    script:
        "../workflow_scripts/featurize.py"
