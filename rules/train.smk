"""Task -> predictions. One named rule a family of models, so that a profile can give each its resources.

Needs: results/tasks/{dataset}/{property}/{scheme}.parquet, the feature tables that the model reads, and the checkpoint
that it starts from.
Offers: results/predictions/{dataset}/{property}/{scheme}/{model}/seed{seed}.parquet; beside it, in the folder
seed{seed}/, run.json and what the model leaves (history, checkpoints, the model itself if it is kept); of a model whose
test error is followed over its epochs also epochs.parquet, of one that evaluates a policy policy.parquet.
"""


rule train_tabular:
    input:
        task="results/tasks/{dataset}/{property}/{scheme}.parquet",
        features=get_features,
        truth=get_truth,
    output:
        predictions="results/predictions/{dataset}/{property}/{scheme}/{model}/seed{seed}.parquet",
        run="results/predictions/{dataset}/{property}/{scheme}/{model}/seed{seed}/run.json",
    log:
        "logs/train/{dataset}/{property}/{scheme}/{model}/seed{seed}.log",
    benchmark:
        "logs/train/{dataset}/{property}/{scheme}/{model}/seed{seed}.tsv"
    wildcard_constraints:
        model=of_family("tabular"),
    conda:
        "../envs/boomlib.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        model_class=lookup("{model}/class", within=MODELS),
        parameters=lookup("{model}/parameters", within=MODELS),
        feature_names=lookup("{model}/features", within=MODELS),
        kind=lookup("{dataset}/properties/{property}/kind", within=DATASETS),
        observable=lookup(
            "{dataset}/properties/{property}/observable", within=DATASETS, default=None
        ),
        keep_model=config["keep_models"],
        code=code_of_model,
    message:
        "Train {wildcards.model} (seed {wildcards.seed}) on {wildcards.dataset}/{wildcards.property}, {wildcards.scheme} split"
    script:
        "../workflow_scripts/train_predict.py"


use rule train_tabular as train_control with:
    wildcard_constraints:
        model=of_family("control"),
    resources:
        mem_mb=1000,
        runtime=10,


use rule train_tabular as train_nlmtp with:
    output:
        predictions="results/predictions/{dataset}/{property}/{scheme}/{model}/seed{seed}.parquet",
        run="results/predictions/{dataset}/{property}/{scheme}/{model}/seed{seed}/run.json",
        epochs="results/predictions/{dataset}/{property}/{scheme}/{model}/seed{seed}/epochs.parquet",
        policy="results/predictions/{dataset}/{property}/{scheme}/{model}/seed{seed}/policy.parquet",
    wildcard_constraints:
        model=of_family("nlmtp"),
    conda:
        "../envs/torch.yaml"
    resources:
        gpu=1,
        mem_mb=16000,
        runtime=1440,


use rule train_tabular as train_gnn with:
    output:
        predictions="results/predictions/{dataset}/{property}/{scheme}/{model}/seed{seed}.parquet",
        run="results/predictions/{dataset}/{property}/{scheme}/{model}/seed{seed}/run.json",
        epochs="results/predictions/{dataset}/{property}/{scheme}/{model}/seed{seed}/epochs.parquet",
    wildcard_constraints:
        model=of_family("gnn"),
    conda:
        "../envs/pyg.yaml"
    resources:
        gpu=1,
        mem_mb=16000,
        runtime=1440,


use rule train_tabular as train_chemprop with:
    wildcard_constraints:
        model=of_family("chemprop"),
    conda:
        "../envs/chemprop.yaml"
    resources:
        gpu=1,
        mem_mb=16000,
        runtime=720,


use rule train_tabular as train_torchmd with:
    output:
        predictions="results/predictions/{dataset}/{property}/{scheme}/{model}/seed{seed}.parquet",
        run="results/predictions/{dataset}/{property}/{scheme}/{model}/seed{seed}/run.json",
        epochs="results/predictions/{dataset}/{property}/{scheme}/{model}/seed{seed}/epochs.parquet",
    wildcard_constraints:
        model=of_family("torchmd"),
    conda:
        "../envs/torchmd.yaml"
    resources:
        gpu=1,
        mem_mb=16000,
        runtime=1440,


use rule train_tabular as train_mace with:
    wildcard_constraints:
        model=of_family("mace"),
    conda:
        "../envs/mace.yaml"
    resources:
        gpu=1,
        mem_mb=32000,
        runtime=2880,


use rule train_tabular as train_language with:
    input:
        task="results/tasks/{dataset}/{property}/{scheme}.parquet",
        features=get_features,
        truth=get_truth,
        pretrained=get_pretrained,
    output:
        predictions="results/predictions/{dataset}/{property}/{scheme}/{model}/seed{seed}.parquet",
        run="results/predictions/{dataset}/{property}/{scheme}/{model}/seed{seed}/run.json",
        epochs="results/predictions/{dataset}/{property}/{scheme}/{model}/seed{seed}/epochs.parquet",
    wildcard_constraints:
        model=of_family("language"),
    conda:
        "../envs/language.yaml"
    resources:
        gpu=1,
        mem_mb=16000,
        runtime=1440,
