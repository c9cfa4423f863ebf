"""The benchmark, stage by stage; README.md says how to run it, results/README.md where everything lands."""

from snakemake.utils import min_version

min_version("9.20")


configfile: "config/config.yaml"


include: "rules/common.smk"


wildcard_constraints:
    dataset=one_of(DATASETS),
    property=one_of(PROPERTIES),
    scheme="kde|scaffold",
    model=one_of(MODELS),
    seed=r"\d+",
    feature=one_of(FEATURES),


rule all:
    input:
        "results/leaderboard.md",


rule prepare:
    input:
        get_prepared(),


include: "rules/download.smk"
include: "rules/featurize.smk"
include: "rules/split.smk"
include: "rules/pretrain.smk"
include: "rules/train.smk"
include: "rules/evaluate.smk"
include: "rules/leaderboard.smk"


onerror:
    report_failures()
