"""TorchMD-Net's networks."""


use rule train_gnn as train_torchmd with:
    wildcard_constraints:
        model=plan.constrain_family("torchmd"),
    conda:
        "../../envs/torchmd.yaml"
