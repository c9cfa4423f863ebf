"""Metrics -> summary, figures and the leaderboard.

Needs: the metrics, record and predictions of every run, the policy of those that answer one, the notes on every task and its
hardest molecules, how far each model's intervals hold, and what pretraining saw.
Offers: results/leaderboard.csv (metrics), results/runs.csv (a row a run) and results/uncertainty.csv; from these results/leaderboard.md and
results/plots/….

The same as interactive pages is in site.smk.

results/status.md, how far all this is, is written anew whenever it is asked for, from the files that are there, and
nothing else is made for it.
"""


rule summarise:
    input:
        metrics=[f"results/metrics/{run.stem}.json" for run in plan.runs],
        resampled=[f"results/resamples/{run.stem}.parquet" for run in plan.runs],
        runs=[f"results/predictions/{run.stem}/run.json" for run in plan.runs],
    output:
        metrics="results/leaderboard.csv",
        runs="results/runs.csv",
    log:
        "logs/summarise.log",
    benchmark:
        "logs/summarise.tsv"
    localrule: True
    conda:
        "../envs/boomlib.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        runs=plan.list_run_tuples(),
        controls=sorted(plan.roles.controls),
        inputs=tell_lost_inputs,
        code=code_of("workflow_scripts.summarise"),
    message:
        "Collect the metrics of all runs"
    script:
        "../workflow_scripts/summarise.py"


rule summarise_uncertainty:
    input:
        judged=plan.list_uncertainty(),
    output:
        table="results/uncertainty.csv",
    log:
        "logs/summarise_uncertainty.log",
    benchmark:
        "logs/summarise_uncertainty.tsv"
    localrule: True
    conda:
        "../envs/boomlib.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        inputs=tell_lost_inputs,
        code=code_of("workflow_scripts.summarise_uncertainty"),
    message:
        "Collect the intervals of all models"
    script:
        "../workflow_scripts/summarise_uncertainty.py"


rule plot_distribution:
    input:
        molecules="results/data/{dataset}/molecules.parquet",
        split="results/splits/{dataset}/{property}/{scheme}.parquet",
    output:
        figure=report(
            "results/plots/distribution/{dataset}/{property}/{scheme}.png",
            caption="captions/distribution.rst",
            category="Distributions",
            labels={"task": "{dataset}/{property}", "split": "{scheme}"},
        ),
    log:
        "logs/plot_distribution/{dataset}/{property}/{scheme}.log",
    benchmark:
        "logs/plot_distribution/{dataset}/{property}/{scheme}.tsv"
    localrule: True
    conda:
        "../envs/boomlib.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        entry=plan.get_property,
        inputs=tell_lost_inputs,
        code=code_of(
            "workflow_scripts.plot_distribution",
            "boomlib.report.figures.distribution",
            files=("boomlib/splits/{scheme}.py",),
        ),
    message:
        "Plot the distribution of {wildcards.dataset}/{wildcards.property}, {wildcards.scheme} split"
    script:
        "../workflow_scripts/plot_distribution.py"


rule plot_parity:
    input:
        molecules="results/data/{dataset}/molecules.parquet",
        split="results/splits/{dataset}/{property}/{scheme}.parquet",
        predictions=plan.get_predictions,
    output:
        figure=report(
            "results/plots/parity/{dataset}/{property}/{scheme}.png",
            caption="captions/parity.rst",
            category="Parity",
            labels={"task": "{dataset}/{property}", "split": "{scheme}"},
        ),
    log:
        "logs/plot_parity/{dataset}/{property}/{scheme}.log",
    benchmark:
        "logs/plot_parity/{dataset}/{property}/{scheme}.tsv"
    localrule: True
    conda:
        "../envs/boomlib.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        entry=plan.get_property,
        labels=plan.roles.labels,
        inputs=tell_lost_inputs,
        code=code_of("workflow_scripts.plot_parity", "boomlib.report.figures.parity"),
    message:
        "Plot predictions of {wildcards.dataset}/{wildcards.property}, {wildcards.scheme} split"
    script:
        "../workflow_scripts/plot_parity.py"


rule plot_hardest:
    input:
        hardest="results/hardest/{dataset}/{property}/{scheme}.json",
    output:
        figure=report(
            "results/plots/hardest/{dataset}/{property}/{scheme}.png",
            caption="captions/hardest.rst",
            category="Hardest molecules",
            labels={"task": "{dataset}/{property}", "split": "{scheme}"},
        ),
    log:
        "logs/plot_hardest/{dataset}/{property}/{scheme}.log",
    benchmark:
        "logs/plot_hardest/{dataset}/{property}/{scheme}.tsv"
    localrule: True
    conda:
        "../envs/boomlib.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        inputs=tell_lost_inputs,
        code=code_of("workflow_scripts.plot_hardest", "boomlib.report.figures.hardest"),
    message:
        "Draw the hardest molecules of {wildcards.dataset}/{wildcards.property}, {wildcards.scheme} split"
    script:
        "../workflow_scripts/plot_hardest.py"


rule plot_policy:
    input:
        molecules="results/data/{dataset}/molecules.parquet",
        split="results/splits/{dataset}/{property}/{scheme}.parquet",
        run="results/predictions/{dataset}/{property}/{scheme}/{model}/seed{seed}/run.json",
        epochs="results/predictions/{dataset}/{property}/{scheme}/{model}/seed{seed}/epochs.parquet",
        policy="results/predictions/{dataset}/{property}/{scheme}/{model}/seed{seed}/policy.parquet",
        pairs="results/features/{dataset}/ch2_pairs.parquet",
        scores="results/policy/{dataset}/{property}/{scheme}/{model}/seed{seed}.json",
        restored=plan.restored.find_figure,
    output:
        figure=report(
            "results/plots/policy/{dataset}/{property}/{scheme}/{model}/seed{seed}.png",
            caption="captions/policy.rst",
            category="Policies",
            labels={
                "task": "{dataset}/{property}",
                "split": "{scheme}",
                "model": "{model}",
                "seed": "{seed}",
            },
        ),
    log:
        "logs/plot_policy/{dataset}/{property}/{scheme}/{model}/seed{seed}.log",
    benchmark:
        "logs/plot_policy/{dataset}/{property}/{scheme}/{model}/seed{seed}.tsv"
    localrule: True
    conda:
        "../envs/boomlib.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        unit=lookup("{dataset}/properties/{property}/unit", within=plan.datasets),
        inputs=tell_lost_inputs,
        code=code_of("workflow_scripts.plot_policy", "boomlib.report.figures.policy"),
    message:
        "Plot the policy of {wildcards.model} (seed {wildcards.seed}) on {wildcards.dataset}/{wildcards.property}, {wildcards.scheme} split"
    script:
        "../workflow_scripts/plot_policy.py"


rule plot_heatmap:
    input:
        csv="results/leaderboard.csv",
    output:
        figure=report(
            "results/plots/heatmap/{scheme}.png",
            caption="captions/heatmap.rst",
            category="Overview",
            labels={"figure": "normalised OOD error", "split": "{scheme}"},
        ),
    log:
        "logs/plot_heatmap/{scheme}.log",
    benchmark:
        "logs/plot_heatmap/{scheme}.tsv"
    localrule: True
    conda:
        "../envs/boomlib.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        figure="heatmap",
        labels=plan.roles.labels,
        controls=sorted(plan.roles.controls),
        inputs=tell_lost_inputs,
        code=code_of("workflow_scripts.plot_overview", "boomlib.report.figures.heatmap"),
    message:
        "Plot the overview {params.figure} of the {wildcards.scheme} split"
    script:
        "../workflow_scripts/plot_overview.py"


use rule plot_heatmap as plot_ratio with:
    output:
        figure=report(
            "results/plots/ratio/{scheme}.png",
            caption="captions/ratio.rst",
            category="Overview",
            labels={"figure": "OOD/ID ratio", "split": "{scheme}"},
        ),
    log:
        "logs/plot_ratio/{scheme}.log",
    benchmark:
        "logs/plot_ratio/{scheme}.tsv"
    localrule: True
    params:
        figure="ratio",
        labels=plan.roles.labels,
        controls=sorted(plan.roles.controls),
        inputs=tell_lost_inputs,
        code=code_of("workflow_scripts.plot_overview", "boomlib.report.figures.ratio"),


rule leaderboard:
    input:
        metrics="results/leaderboard.csv",
        runs="results/runs.csv",
        policy=[f"results/policy/{run.stem}.json" for run in plan.policy_runs],
        rejects=[f"results/data/{name}/rejects.csv" for name in plan.run_datasets],
        notes=[f"results/notes/{'/'.join(task)}.json" for task in plan.tasks],
        hardest=[f"results/hardest/{'/'.join(task)}.json" for task in plan.tasks],
        uncertainty="results/uncertainty.csv",
        exposure=plan.list_exposures(),
        doubles=[f"results/data/{name}/doubles.csv" for name in plan.run_datasets],
        splits=[f"results/splits/{'/'.join(task)}.parquet" for task in plan.tasks],
        figures=plan.list_figures,
    output:
        markdown=report(
            "results/leaderboard.md",
            caption="captions/leaderboard.rst",
            category="Leaderboard",
        ),
        config="results/config.yaml",
    log:
        "logs/leaderboard.log",
    benchmark:
        "logs/leaderboard.tsv"
    localrule: True
    conda:
        "../envs/boomlib.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        config=plan.shown_config,
        datasets=plan.run_datasets,
        models=plan.trained_models,
        inputs=tell_lost_inputs,
        code=code_of(
            "workflow_scripts.leaderboard",
            "boomlib.report.build",
            files=(
                "boomlib/declared.py",  # what a model needs
                "boomlib/report/leaderboard.md.j2",
                "boomlib/report/published.yaml",
                *(f"boomlib/splits/{scheme}.py" for scheme in plan.config["schemes"]),
            ),
        ),
    message:
        "Write the leaderboard"
    script:
        "../workflow_scripts/leaderboard.py"


rule status:
    output:
        page="results/status.md",
    log:
        "logs/status.log",
    benchmark:
        "logs/status.tsv"
    localrule: True
    conda:
        "../envs/boomlib.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        asked=ASKED,
    message:
        "Write how far all runs are"
    script:
        "../workflow_scripts/write_status.py"


include: "site.smk"
