"""Language models, which may start from a checkpoint."""


use rule train_gnn as train_language with:
    wildcard_constraints:
        model=plan.constrain_family("language"),
    conda:
        "../../envs/language.yaml"
