"""Committees of models, which read predictions of others and are done in seconds."""


use rule train_tabular as train_committee with:
    wildcard_constraints:
        model=plan.constrain_family("committee"),
    resources:
        mem_mb=2000,
        runtime=10,
