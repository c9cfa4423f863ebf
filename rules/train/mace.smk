"""MACE."""


use rule train_tabular as train_mace with:
    output:
        predictions="results/predictions/{dataset}/{property}/{scheme}/{model}/seed{seed}.parquet",
        run="results/predictions/{dataset}/{property}/{scheme}/{model}/seed{seed}/run.json",
        epochs="results/predictions/{dataset}/{property}/{scheme}/{model}/seed{seed}/epochs.parquet",
    wildcard_constraints:
        model=plan.constrain_family("mace"),
    conda:
        "../../envs/mace.yaml"
    resources:
        gpu=1,
        mem_mb=32000,
        runtime=2880,
