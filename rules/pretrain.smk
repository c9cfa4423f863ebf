"""Folds -> checkpoints that language models may start from: folders in the layout of the Hugging Face hub.

Needs: molecules and all splits of the datasets of `tasks` and `corpus`; for the hub a mirror folder, or the network.
Offers: results/corpora/{scheme}.parquet, results/pretrained/mlm/{scheme}/{model}/ and
results/pretrained/hub/{org}--{name}@{revision}/, each with model.safetensors, checkpoint.json (source and hashes),
config.json and the tokenizer; models that pretrain alike share the checkpoint of the first of them. Of each task
results/exposure/{dataset}/{property}/{scheme}.json.
"""


rule make_corpus:
    input:
        molecules=plan.get_corpus_molecules,
        splits=plan.get_corpus_splits,
    output:
        corpus="results/corpora/{scheme}.parquet",
    log:
        "logs/make_corpus/{scheme}.log",
    benchmark:
        "logs/make_corpus/{scheme}.tsv"
    conda:
        "../envs/boomlib.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        properties=plan.corpus,
        inputs=tell_lost_inputs,
        code=code_of("workflow_scripts.make_corpus"),
    message:
        "Collect what pretraining may read, {wildcards.scheme} split"
    script:
        "../workflow_scripts/make_corpus.py"


rule count_exposed:
    input:
        corpus="results/corpora/{scheme}.parquet",
        task="results/tasks/{dataset}/{property}/{scheme}.parquet",
    output:
        exposure="results/exposure/{dataset}/{property}/{scheme}.json",
    log:
        "logs/count_exposed/{dataset}/{property}/{scheme}.log",
    benchmark:
        "logs/count_exposed/{dataset}/{property}/{scheme}.tsv"
    conda:
        "../envs/boomlib.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        inputs=tell_lost_inputs,
        code=code_of("workflow_scripts.count_exposed"),
    message:
        "Count what pretraining saw of {wildcards.dataset}/{wildcards.property}, {wildcards.scheme} split"
    script:
        "../workflow_scripts/count_exposed.py"


rule pretrain:
    input:
        corpus="results/corpora/{scheme}.parquet",
    output:
        weights="results/pretrained/mlm/{scheme}/{model}/model.safetensors",
        record="results/pretrained/mlm/{scheme}/{model}/checkpoint.json",
    log:
        "logs/pretrain/{scheme}/{model}.log",
    benchmark:
        "logs/pretrain/{scheme}/{model}.tsv"
    wildcard_constraints:
        model=plan.constrain_pretrained(),
    priority: 3  # trainings wait for it
    conda:
        "../envs/language.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=16000,
        runtime=1440,
    params:
        settings=plan.get_pretraining,
        inputs=tell_lost_inputs,
        code=plan.code_of_pretraining,
    message:
        "Pretrain {wildcards.model}, {wildcards.scheme} split"
    script:
        "../workflow_scripts/pretrain.py"


rule download_checkpoint:
    output:
        weights="results/pretrained/hub/{org}--{name}@{revision}/model.safetensors",
        record="results/pretrained/hub/{org}--{name}@{revision}/checkpoint.json",
    log:
        "logs/download_checkpoint/{org}--{name}@{revision}.log",
    wildcard_constraints:
        org=r"[\w.-]+?",
        name=r"[\w.-]+",
        revision=r"[0-9a-f]{40}",
    retries: 1
    localrule: True
    conda:
        "../envs/language.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        mirror=tell_other_mirror,
        code=code_of("workflow_scripts.download_checkpoint"),
    message:
        "Download {wildcards.org}/{wildcards.name} from the hub"
    script:
        "../workflow_scripts/download_checkpoint.py"
