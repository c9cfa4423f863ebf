"""Chemprop."""


use rule train_tabular as train_chemprop with:
    output:
        predictions="results/predictions/{dataset}/{property}/{scheme}/{model}/seed{seed}.parquet",
        run="results/predictions/{dataset}/{property}/{scheme}/{model}/seed{seed}/run.json",
        epochs="results/predictions/{dataset}/{property}/{scheme}/{model}/seed{seed}/epochs.parquet",
    wildcard_constraints:
        model=plan.constrain_family("chemprop"),
    conda:
        "../../envs/chemprop.yaml"
    resources:
        gpu=1,
        mem_mb=16000,
        runtime=720,
