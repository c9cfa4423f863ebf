"""Models whose predictions alone are known: their files are read and checked, and nothing of theirs is run."""


rule train_external:
    input:
        task="results/tasks/{dataset}/{property}/{scheme}.parquet",
        described="results/tasks/{dataset}/{property}/{scheme}.json",
    output:
        predictions="results/predictions/{dataset}/{property}/{scheme}/{model}/seed{seed}.parquet",
        run="results/predictions/{dataset}/{property}/{scheme}/{model}/seed{seed}/run.json",
    log:
        "logs/train/{dataset}/{property}/{scheme}/{model}/seed{seed}.log",
    benchmark:
        "logs/train/{dataset}/{property}/{scheme}/{model}/seed{seed}.tsv"
    wildcard_constraints:
        model=plan.constrain_family("external"),
    localrule: True
    conda:
        "../../envs/boomlib.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        model_class=lookup("{model}/class", within=plan.models),
        parameters=lookup("{model}/parameters", within=plan.models),
        kind=lookup("{dataset}/properties/{property}/kind", within=plan.datasets),
        given=plan.get_given_predictions,
        inputs=tell_lost_inputs,
        code=code_of("workflow_scripts.read_external"),
    message:
        "Read the predictions of {wildcards.model} (seed {wildcards.seed}) on {wildcards.dataset}/{wildcards.property}, {wildcards.scheme} split"
    script:
        "../../workflow_scripts/read_external.py"
