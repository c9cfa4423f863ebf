"""Graph networks of ours; what the rules of all other networks are made of."""


use rule train_tabular as train_gnn with:
    wildcard_constraints:
        model=plan.constrain_family("gnn"),
    priority: 1  # before what is short, which then fills the gaps that the last long jobs leave
    conda:
        "../../envs/torch.yaml"
    resources:
        gpu=1,
        mem_mb=16000,
        runtime=1440,
