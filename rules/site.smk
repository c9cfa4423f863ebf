"""Everything that a run has left -> the interactive leaderboard.

Needs: the tables of all runs; molecules, splits, predictions, resamples, intervals, hardest molecules and policies.
Offers: results/site/index.html and what lies beside it.
"""


rule site:
    input:
        metrics="results/leaderboard.csv",
        runs="results/runs.csv",
        molecules=[
            f"results/data/{name}/molecules.parquet" for name in plan.run_datasets
        ],
        splits=[f"results/splits/{'/'.join(task)}.parquet" for task in plan.tasks],
        predictions=[f"results/predictions/{run.stem}.parquet" for run in plan.runs],
        resampled=[f"results/resamples/{run.stem}.parquet" for run in plan.runs],
        judged=plan.list_uncertainty(),
        hardest=[f"results/hardest/{'/'.join(task)}.json" for task in plan.tasks],
        policies=[f"results/policy/{run.stem}.json" for run in plan.policy_runs],
        answers=[
            f"results/predictions/{run.stem}/policy.parquet"
            for run in plan.policy_runs
        ],
        pairs=[
            f"results/features/{name}/{each}.parquet"
            for name in plan.policy_datasets
            for each in ("ch2_pairs", "scaffolds")
        ],
    output:
        index="results/site/index.html",
    log:
        "logs/site.log",
    benchmark:
        "logs/site.tsv"
    localrule: True
    conda:
        "../envs/site.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        config=plan.shown_config,
        datasets=plan.run_datasets,
        models=plan.trained_models,
        inputs=tell_lost_inputs,
        code=code_of(
            "workflow_scripts.site",
            "boomlib.report.site.build",
            files=(
                "boomlib/declared.py",  # what a model needs
                *list_site_files(),
                *(f"boomlib/splits/{scheme}.py" for scheme in plan.config["schemes"]),
            ),
        ),
    message:
        "Make the interactive leaderboard"
    script:
        "../workflow_scripts/site.py"
