"""The benchmark, stage by stage; README.md says how to run it, results/README.md where everything lands."""

from snakemake.utils import min_version

min_version("9.27")


include: "rules/common.smk"


wildcard_constraints:
    dataset=one_of(plan.datasets),
    property=one_of(plan.properties),
    scheme=one_of(plan.schemes),
    model=one_of(plan.models),
    seed=r"\d+",
    feature=one_of(plan.features),
    screen=one_of(plan.screens.named),


rule all:
    input:
        ["results/leaderboard.md", "results/site/index.html"],


rule prepare:
    input:
        plan.list_prepared(),


rule external:
    input:
        plan.list_shipped_scores,


include: "rules/download.smk"
include: "rules/featurize.smk"
include: "rules/split.smk"
include: "rules/pretrain.smk"
include: "rules/train.smk"
include: "rules/evaluate.smk"
include: "rules/leaderboard.smk"
include: "rules/screen.smk"


onstart:
    try:
        begin_jobs(workflow.dag)
    except ContractError as error:
        raise WorkflowError(str(error)) from None


onsuccess:
    end_jobs(workflow.dag)
    makes_results(workflow.dag) and plan.report_success()


onerror:
    end_jobs(workflow.dag)
    makes_results(workflow.dag) and plan.report_failures(makes_site(workflow.dag))
