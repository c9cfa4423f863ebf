"""Source files -> molecules.

Needs: the registry config/datasets.yaml; a file of the user's, a mirror folder, or the network.
Offers: results/data/{dataset}/molecules.parquet, rejects.csv, geometry.parquet (empty without positions) and
doubles.csv (molecules that are one, spelled otherwise).
"""


rule download_source:
    output:
        file="results/downloads/{source}",
    log:
        "logs/download_source/{source}.log",
    wildcard_constraints:
        source=one_of(plan.sources),
    cache: "omit-software"
    retries: 1
    localrule: True
    conda:
        "../envs/boomlib.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=60,
    params:
        source=lookup("{source}", within=plan.sources),
    message:
        "Download {wildcards.source}"
    script:
        "../workflow_scripts/download_source.py"


rule prepare_molecules:
    input:
        sources=plan.get_made_sources,
    output:
        molecules="results/data/{dataset}/molecules.parquet",
        rejects="results/data/{dataset}/rejects.csv",
        geometry="results/data/{dataset}/geometry.parquet",
        doubles="results/data/{dataset}/doubles.csv",
    log:
        "logs/prepare_molecules/{dataset}.log",
    cache: "omit-software"
    conda:
        "../envs/boomlib.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        dataset=plan.get_reader_settings,
        given=plan.get_given_sources,
        # part of what the cache goes by: molecules that are made again after a failure may be read once more
        inputs=tell_lost_inputs,
        code=plan.code_of_dataset,
    message:
        "Read and check the molecules of {wildcards.dataset}"
    script:
        "../workflow_scripts/prepare_molecules.py"
