"""Molecules -> feature tables, once a dataset, shared by all models.

Needs: results/data/{dataset}/molecules.parquet; geometry.parquet beside it for conformers; other features for those that
read one.
Offers: results/features/{dataset}/{feature}.parquet and results/features/{dataset}/ch2_pairs.parquet.

With `feature_jobs: 1` one job computes a feature on all processors of its machine. With more, that many jobs share the
molecules, wherever a cluster has room, and their parts are merged in order to the same bytes.
"""


rule featurize_part:
    input:
        molecules="results/data/{dataset}/molecules.parquet",
        tables=plan.get_tables,
    output:
        features="results/features/{dataset}/{feature}/part{part}of{parts}.parquet",
    log:
        "logs/featurize/{dataset}/{feature}/part{part}of{parts}.log",
    wildcard_constraints:
        part=r"\d+",
        parts=r"\d+",
    cache: "omit-software"
    priority: 3  # trainings wait for it
    conda:
        "../envs/boomlib.yaml"
    threads: 8
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        part=plan.get_part,
        table_names=plan.get_table_names,
        settings=plan.get_feature_settings,
        # part of what the cache goes by: a feature that is made again after a failure may be computed once more
        inputs=tell_lost_inputs,
        code=code_of(
            "workflow_scripts.featurize",
            "boomlib.features.{feature}",
            files=(ENVIRONMENT,),
        ),
    message:
        "Compute part {wildcards.part} of {wildcards.parts} of {wildcards.feature} of {wildcards.dataset}"
    script:
        "../workflow_scripts/featurize.py"


if plan.config["feature_jobs"] == 1:

    use rule featurize_part as featurize with:
        output:
            features="results/features/{dataset}/{feature}.parquet",
        log:
            "logs/featurize/{dataset}/{feature}.log",
        cache: "omit-software"  # not handed on by `use rule`
        message:
            "Compute {wildcards.feature} of {wildcards.dataset}"

else:

    rule merge_feature:
        input:
            parts=plan.get_feature_parts,
        output:
            features="results/features/{dataset}/{feature}.parquet",
        log:
            "logs/merge_feature/{dataset}/{feature}.log",
        benchmark:
            "logs/merge_feature/{dataset}/{feature}.tsv"
        conda:
            "../envs/boomlib.yaml"
        threads: 1
        resources:
            mem_mb=2000,
            runtime=20,
        params:
            inputs=tell_lost_inputs,
            code=code_of("workflow_scripts.merge_feature"),
        message:
            "Merge the parts of {wildcards.feature} of {wildcards.dataset}"
        script:
            "../workflow_scripts/merge_feature.py"


rule find_ch2_pairs:
    input:
        fragmentations="results/features/{dataset}/fragmentations.parquet",
    output:
        pairs="results/features/{dataset}/ch2_pairs.parquet",
    log:
        "logs/find_ch2_pairs/{dataset}.log",
    benchmark:
        "logs/find_ch2_pairs/{dataset}.tsv"
    conda:
        "../envs/boomlib.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=30,
    params:
        inputs=tell_lost_inputs,
        code=code_of("workflow_scripts.find_ch2_pairs"),
    message:
        "Find molecules of {wildcards.dataset} that differ by one CH2"
    script:
        "../workflow_scripts/find_ch2_pairs.py"
