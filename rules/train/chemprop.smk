"""Chemprop."""


use rule train_gnn as train_chemprop with:
    wildcard_constraints:
        model=plan.constrain_family("chemprop"),
    conda:
        "../../envs/chemprop.yaml"
    resources:
        gpu=1,
        mem_mb=16000,
        runtime=720,
