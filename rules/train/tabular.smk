"""Models of feature tables, on a CPU; what the rules of other families are made of."""


rule train_tabular:
    input:
        task="results/tasks/{dataset}/{property}/{scheme}.parquet",
        features=plan.restored.unless(plan.get_features),
        truth=plan.restored.unless(plan.get_truth),
        checkpoint=plan.restored.unless(plan.get_made_checkpoint),
        members=plan.restored.unless(plan.get_members),
        restored=plan.restored.find,
    output:
        predictions="results/predictions/{dataset}/{property}/{scheme}/{model}/seed{seed}.parquet",
        run="results/predictions/{dataset}/{property}/{scheme}/{model}/seed{seed}/run.json",
    log:
        "logs/train/{dataset}/{property}/{scheme}/{model}/seed{seed}.log",
    benchmark:
        "logs/train/{dataset}/{property}/{scheme}/{model}/seed{seed}.tsv"
    wildcard_constraints:
        model=plan.constrain_family("tabular"),
    conda:
        "../../envs/boomlib.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        model_class=lookup("{model}/class", within=plan.models),
        parameters=lookup("{model}/parameters", within=plan.models),
        feature_names=lookup("{model}/features", within=plan.models),
        kind=lookup("{dataset}/properties/{property}/kind", within=plan.datasets),
        observable=lookup(
            "{dataset}/properties/{property}/observable",
            within=plan.datasets,
            default=None,
        ),
        keep_model=plan.screens.must_keep,
        given=plan.get_given_checkpoint,
        fingerprint=plan.get_fingerprint,
        inputs=tell_lost_training,
        code=plan.code_of_model,
    message:
        "Train {wildcards.model} (seed {wildcards.seed}) on {wildcards.dataset}/{wildcards.property}, {wildcards.scheme} split"
    script:
        "../../workflow_scripts/train_predict.py"
