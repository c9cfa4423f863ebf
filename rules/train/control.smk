"""Controls, which bound the leaderboard."""


use rule train_tabular as train_control with:
    wildcard_constraints:
        model=plan.constrain_family("control"),
    resources:
        mem_mb=1000,
        runtime=10,
