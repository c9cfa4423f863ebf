"""A file of molecules and kept models -> their predictions, with intervals and flags, and a page.

Needs: a screen of the configuration, the runs that it asks for (their predictions, behind which lie the kept models, and their
scores), and what is near train.
Offers: results/screens/{screen}.parquet, .csv and .md; beside them, in the folder {screen}/, file.json (that the file can be
read, before anything is trained for it), rejects.csv, summary.json, how far the intervals of its models hold, and answers.sqlite, in which a job goes on; figures in results/plots/screens/{screen}/.
"""


use rule judge_uncertainty as calibrate_screen with:
    input:
        molecules="results/data/{dataset}/molecules.parquet",
        split="results/splits/{dataset}/{property}/{scheme}.parquet",
        domain="results/domain/{dataset}/{property}/{scheme}/domain.parquet",
        scores="results/domain/{dataset}/{property}/{scheme}.parquet",
        predictions=plan.screens.get_seed_predictions,
    output:
        uncertainty="results/screens/{screen}/uncertainty/{dataset}/{property}/{scheme}/{model}.json",
    log:
        "logs/calibrate_screen/{screen}/{dataset}/{property}/{scheme}/{model}.log",
    benchmark:
        "logs/calibrate_screen/{screen}/{dataset}/{property}/{scheme}/{model}.tsv"
    localrule: True
    params:
        seeds=plan.screens.get_seeds,
        unit=lookup("{dataset}/properties/{property}/unit", within=plan.datasets),
        version=VERSION,
        inputs=tell_lost_inputs,
        code=code_of("workflow_scripts.judge_uncertainty"),
    message:
        "Calibrate the intervals of {wildcards.model} on {wildcards.dataset}/{wildcards.property}, {wildcards.scheme} split, for screen {wildcards.screen}"


rule check_screen:
    output:
        checked="results/screens/{screen}/file.json",
    log:
        "logs/check_screen/{screen}.log",
    benchmark:
        "logs/check_screen/{screen}.tsv"
    priority: 100  # a mistake in the file is told before a training for it
    localrule: True
    conda:
        "../envs/boomlib.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        settings=plan.screens.get_settings,
        given=plan.screens.get_given,
        models=plan.screens.get_models,
        code=code_of("workflow_scripts.check_screen", "boomlib.predict"),
    message:
        "Check the file of screen {wildcards.screen}"
    script:
        "../workflow_scripts/check_screen.py"


rule screen:
    input:
        checked="results/screens/{screen}/file.json",
        predictions=plan.screens.get_predictions,
        domains=plan.screens.get_domains,
        uncertainty=plan.screens.get_uncertainty,
    output:
        parquet="results/screens/{screen}.parquet",
        csv="results/screens/{screen}.csv",
        rejects="results/screens/{screen}/rejects.csv",
        summary="results/screens/{screen}/summary.json",
    log:
        "logs/screen/{screen}.log",
    benchmark:
        "logs/screen/{screen}.tsv"
    conda:
        "../envs/boomlib.yaml"
    threads: 8
    resources:
        mem_mb=9000,
        runtime=1440,
    params:
        settings=plan.screens.get_settings,
        given=plan.screens.get_given,
        models=plan.screens.get_models,
        seeds=plan.screens.get_seeds,
        inputs=tell_lost_inputs,
        code=code_of(
            "workflow_scripts.screen",
            "boomlib.predict",
            "boomlib.harness.kept",
            "boomlib.harness.unseen",
        ),
    message:
        "Screen {wildcards.screen}"
    script:
        "../workflow_scripts/screen.py"


rule plot_screen:
    input:
        molecules="results/data/{dataset}/molecules.parquet",
        split="results/splits/{dataset}/{property}/{scheme}.parquet",
        predicted="results/screens/{screen}.parquet",
        summary="results/screens/{screen}/summary.json",
    output:
        distribution="results/plots/screens/{screen}/{dataset}/{property}/{scheme}/{model}/distribution.png",
        extremes="results/plots/screens/{screen}/{dataset}/{property}/{scheme}/{model}/extremes.png",
    log:
        "logs/plot_screen/{screen}/{dataset}/{property}/{scheme}/{model}.log",
    benchmark:
        "logs/plot_screen/{screen}/{dataset}/{property}/{scheme}/{model}.tsv"
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
        code=code_of("workflow_scripts.plot_screen", "boomlib.report.figures.screened"),
    message:
        "Plot what {wildcards.model} predicts of {wildcards.dataset}/{wildcards.property}, {wildcards.scheme} split, in screen {wildcards.screen}"
    script:
        "../workflow_scripts/plot_screen.py"


rule write_screen:
    input:
        summary="results/screens/{screen}/summary.json",
        written=[
            "results/screens/{screen}.parquet",
            "results/screens/{screen}.csv",
            "results/screens/{screen}/rejects.csv",
        ],
        uncertainty=plan.screens.get_uncertainty,
        metrics=plan.screens.get_metrics,
        figures=plan.screens.get_figures,
    output:
        page="results/screens/{screen}.md",
    log:
        "logs/write_screen/{screen}.log",
    benchmark:
        "logs/write_screen/{screen}.tsv"
    localrule: True
    conda:
        "../envs/boomlib.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        inputs=tell_lost_inputs,
        code=code_of(
            "workflow_scripts.write_screen",
            "boomlib.report.screen",
            files=("boomlib/report/screen.md.j2",),
        ),
    message:
        "Write the page of screen {wildcards.screen}"
    script:
        "../workflow_scripts/write_screen.py"
