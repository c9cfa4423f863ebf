"""Predictions -> metrics. The truth enters here and nowhere before.

Needs: molecules, split and predictions.
Offers: results/metrics/{dataset}/{property}/{scheme}/{model}/seed{seed}.json, results/resamples/….parquet of the same
name, and for a model that evaluates a policy results/policy/….json; results/notes/{dataset}/{property}/{scheme}.json and,
of all models of a task, results/hardest/….json of the same name; of what lies near train results/domain/….parquet and, to
judge other molecules, results/domain/…/domain.parquet; of a model over its seeds
results/uncertainty/{dataset}/{property}/{scheme}/{model}.json.
"""


rule inspect_task:
    input:
        molecules="results/data/{dataset}/molecules.parquet",
        split="results/splits/{dataset}/{property}/{scheme}.parquet",
        elements="results/features/{dataset}/elements.parquet",
    output:
        notes="results/notes/{dataset}/{property}/{scheme}.json",
    log:
        "logs/inspect_task/{dataset}/{property}/{scheme}.log",
    benchmark:
        "logs/inspect_task/{dataset}/{property}/{scheme}.tsv"
    localrule: True
    conda:
        "../envs/boomlib.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        kind=lookup("{dataset}/properties/{property}/kind", within=plan.datasets),
        unit=lookup("{dataset}/properties/{property}/unit", within=plan.datasets),
        inputs=tell_lost_inputs,
        code=code_of("workflow_scripts.inspect_task"),
    message:
        "Inspect the labels of {wildcards.dataset}/{wildcards.property}, {wildcards.scheme} split"
    script:
        "../workflow_scripts/inspect_task.py"


rule evaluate:
    input:
        molecules="results/data/{dataset}/molecules.parquet",
        split="results/splits/{dataset}/{property}/{scheme}.parquet",
        predictions="results/predictions/{dataset}/{property}/{scheme}/{model}/seed{seed}.parquet",
    output:
        metrics="results/metrics/{dataset}/{property}/{scheme}/{model}/seed{seed}.json",
        resampled="results/resamples/{dataset}/{property}/{scheme}/{model}/seed{seed}.parquet",
    log:
        "logs/evaluate/{dataset}/{property}/{scheme}/{model}/seed{seed}.log",
    benchmark:
        "logs/evaluate/{dataset}/{property}/{scheme}/{model}/seed{seed}.tsv"
    localrule: True
    conda:
        "../envs/boomlib.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        unit=lookup("{dataset}/properties/{property}/unit", within=plan.datasets),
        version=VERSION,
        inputs=tell_lost_inputs,
        code=code_of("workflow_scripts.evaluate"),
    message:
        "Score {wildcards.model} (seed {wildcards.seed}) on {wildcards.dataset}/{wildcards.property}, {wildcards.scheme} split"
    script:
        "../workflow_scripts/evaluate.py"


rule find_hardest:
    input:
        molecules="results/data/{dataset}/molecules.parquet",
        split="results/splits/{dataset}/{property}/{scheme}.parquet",
        predictions=plan.get_predictions,
    output:
        hardest="results/hardest/{dataset}/{property}/{scheme}.json",
    log:
        "logs/find_hardest/{dataset}/{property}/{scheme}.log",
    benchmark:
        "logs/find_hardest/{dataset}/{property}/{scheme}.tsv"
    localrule: True
    conda:
        "../envs/boomlib.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        left_out=[name for name in plan.run_models if name in plan.roles.unjudged],
        inputs=tell_lost_inputs,
        code=code_of("workflow_scripts.find_hardest"),
    message:
        "Find the hardest molecules of {wildcards.dataset}/{wildcards.property}, {wildcards.scheme} split"
    script:
        "../workflow_scripts/find_hardest.py"


rule evaluate_policy:
    input:
        molecules="results/data/{dataset}/molecules.parquet",
        split="results/splits/{dataset}/{property}/{scheme}.parquet",
        policy="results/predictions/{dataset}/{property}/{scheme}/{model}/seed{seed}/policy.parquet",
        pairs="results/features/{dataset}/ch2_pairs.parquet",
        restored=plan.restored.find_scores,
    output:
        policy="results/policy/{dataset}/{property}/{scheme}/{model}/seed{seed}.json",
    log:
        "logs/evaluate_policy/{dataset}/{property}/{scheme}/{model}/seed{seed}.log",
    benchmark:
        "logs/evaluate_policy/{dataset}/{property}/{scheme}/{model}/seed{seed}.tsv"
    localrule: True
    conda:
        "../envs/boomlib.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        unit=lookup("{dataset}/properties/{property}/unit", within=plan.datasets),
        version=VERSION,
        inputs=tell_lost_inputs,
        code=code_of("workflow_scripts.evaluate_policy"),
    message:
        "Score the policy of {wildcards.model} (seed {wildcards.seed}) on {wildcards.dataset}/{wildcards.property}, {wildcards.scheme} split"
    script:
        "../workflow_scripts/evaluate_policy.py"


rule fit_domain:
    input:
        molecules="results/data/{dataset}/molecules.parquet",
        split="results/splits/{dataset}/{property}/{scheme}.parquet",
        elements="results/features/{dataset}/elements.parquet",
        morgan_counts="results/features/{dataset}/morgan_counts.parquet",
    output:
        domain="results/domain/{dataset}/{property}/{scheme}/domain.parquet",
        scores="results/domain/{dataset}/{property}/{scheme}.parquet",
    log:
        "logs/fit_domain/{dataset}/{property}/{scheme}.log",
    benchmark:
        "logs/fit_domain/{dataset}/{property}/{scheme}.tsv"
    conda:
        "../envs/boomlib.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        inputs=tell_lost_inputs,
        code=code_of("workflow_scripts.fit_domain"),
    message:
        "Find what is near train of {wildcards.dataset}/{wildcards.property}, {wildcards.scheme} split"
    script:
        "../workflow_scripts/fit_domain.py"


rule judge_uncertainty:
    input:
        molecules="results/data/{dataset}/molecules.parquet",
        split="results/splits/{dataset}/{property}/{scheme}.parquet",
        domain="results/domain/{dataset}/{property}/{scheme}/domain.parquet",
        scores="results/domain/{dataset}/{property}/{scheme}.parquet",
        predictions=plan.get_seeds,
    output:
        uncertainty="results/uncertainty/{dataset}/{property}/{scheme}/{model}.json",
    log:
        "logs/judge_uncertainty/{dataset}/{property}/{scheme}/{model}.log",
    benchmark:
        "logs/judge_uncertainty/{dataset}/{property}/{scheme}/{model}.tsv"
    localrule: True
    conda:
        "../envs/boomlib.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        seeds=plan.config["seeds"],
        unit=lookup("{dataset}/properties/{property}/unit", within=plan.datasets),
        version=VERSION,
        inputs=tell_lost_inputs,
        code=code_of("workflow_scripts.judge_uncertainty"),
    message:
        "Judge the intervals of {wildcards.model} on {wildcards.dataset}/{wildcards.property}, {wildcards.scheme} split"
    script:
        "../workflow_scripts/judge_uncertainty.py"
