"""MACE."""


use rule train_gnn as train_mace with:
    wildcard_constraints:
        model=plan.constrain_family("mace"),
    conda:
        "../../envs/mace.yaml"
    resources:
        gpu=1,
        mem_mb=32000,
        runtime=2880,
