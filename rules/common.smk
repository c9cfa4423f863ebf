"""Look-ups shared by all rules: what is registered, what this run covers, where it lands.

Needs: the merged configuration, config/datasets.yaml and config/models/*.yaml.
Offers: DATASETS, SOURCES, MODELS, RUNS, CORPUS and the functions below.
"""

import re
import sys

sys.path.insert(0, str(workflow.basedir))

from boomlib import registry
from boomlib.files import ContractError
from boomlib.processes import lead_jobs, release_dead_locks
from boomlib.provenance import code_hash
from boomlib.runs import list_runs, mark_orphans
from boomlib.text.start import find_sharer, name_hub_folder, select_pretraining

lead_jobs()
if workflow.is_main_process:
    release_dead_locks(".snakemake")

try:
    DATASETS, SOURCES = registry.load_datasets()
    MODELS = registry.with_variants(registry.load_models(), config)
    config = registry.check_config(config, DATASETS, MODELS)
except ContractError as error:
    raise WorkflowError(error) from None

FEATURES = (
    "descriptors",
    "morgan_counts",
    "elements",
    "maccs",
    "scaffolds",
    "conformers",
    "fragmentations",
    "context",
    "graph",
)
# its pins, RDKit's among them, decide molecules and features, which the cache hands from one checkout to another
ENVIRONMENT = "envs/boomlib.yaml"
PROPERTIES = sorted(
    {name for dataset in DATASETS.values() for name in dataset["properties"]}
)
RUNS = list_runs(config)
mark_orphans("results", RUNS)
RUN_TUPLES = [
    [run.dataset, run.property, run.scheme, run.model, run.seed] for run in RUNS
]
RUN_MODELS = {name: MODELS[name] for name in config["models"]}
RUN_DATASETS = {name: DATASETS[name] for name in sorted({run.dataset for run in RUNS})}
CONTROLS = [name for name, model in RUN_MODELS.items() if model["family"] == "control"]
LABELS = {name: model["label"] for name, model in RUN_MODELS.items()}
POLICY_RUNS = [run for run in RUNS if MODELS[run.model]["answers_policy"]]
TASKS = sorted({(run.dataset, run.property, run.scheme) for run in RUNS})
CORPUS = {
    name: list(DATASETS[name]["properties"])
    for name in sorted({*RUN_DATASETS, *config["corpus"]})
}


def one_of(names):
    """A regular expression that matches exactly the given names."""
    return "|".join(map(re.escape, sorted(names)))


def of_family(family):
    """A regular expression for the models of a family; matches nothing if there are none."""
    return (
        one_of(name for name, model in MODELS.items() if model["family"] == family)
        or "(?!x)x"
    )


def get_sources(wildcards):
    """Source files of a dataset: downloads, or the user's own file."""
    dataset = DATASETS[wildcards.dataset]
    own = [dataset["file"]] if "file" in dataset else []
    return own + [f"results/downloads/{name}" for name in dataset["sources"]]


def get_reading(wildcards):
    """What decides a dataset's molecules: its registry entry without labels, licence and split."""
    return registry.select_reader_settings(DATASETS[wildcards.dataset])


def get_property_names(wildcards):
    """All properties of a dataset, in the registry's order."""
    return list(DATASETS[wildcards.dataset]["properties"])


def get_features(wildcards):
    """Feature tables that a model reads."""
    return [
        f"results/features/{wildcards.dataset}/{name}.parquet"
        for name in MODELS[wildcards.model]["features"]
    ]


def get_geometry(wildcards):
    """Positions that the source brings, for the feature that needs them."""
    needed = wildcards.feature == "conformers"
    return f"results/data/{wildcards.dataset}/geometry.parquet" if needed else []


def get_feature_parts(wildcards):
    """Parts of a feature table, in order."""
    parts = config["feature_jobs"]
    return [
        f"results/features/{wildcards.dataset}/{wildcards.feature}/part{part}of{parts}.parquet"
        for part in range(1, parts + 1)
    ]


def get_part(wildcards):
    """Which part of how many a job computes, from 1; the cache between checkouts sees parameters, not wildcards."""
    return [int(wildcards.get(name, 1)) for name in ("part", "parts")]


def get_prepared():
    """Molecules, all features and splits of this run: what needs the network, and no training."""
    features = [
        f"results/features/{name}/{feature}.parquet"
        for name in RUN_DATASETS
        for feature in FEATURES
    ]
    splits = [f"results/splits/{'/'.join(task)}.parquet" for task in TASKS]
    starts = [model["parameters"].get("pretrained") for model in RUN_MODELS.values()]
    if "mlm" in starts:
        splits += [f"results/corpora/{scheme}.parquet" for scheme in config["schemes"]]
    hub = [each for each in starts if isinstance(each, dict) and "hub" in each]
    return features + splits + [hub_weights(each) for each in hub]


def get_corpus_molecules(wildcards):
    """Molecules of the corpus' datasets, in order."""
    return [f"results/data/{name}/molecules.parquet" for name in CORPUS]


def get_corpus_splits(wildcards):
    """Splits of all properties of the corpus' datasets, in order."""
    return [
        f"results/splits/{name}/{each}/{wildcards.scheme}.parquet"
        for name, properties in CORPUS.items()
        for each in properties
    ]


def get_pretraining(wildcards):
    """What decides a pretraining: the class and some parameters of a model's descriptor."""
    return select_pretraining(MODELS[wildcards.model])


def hub_weights(start):
    """The weights of a checkpoint of the hub, given by repository and commit."""
    return f"results/pretrained/hub/{name_hub_folder(start)}/model.safetensors"


def get_pretrained(wildcards):
    """The weights that a model starts from; none from scratch and for a model without that choice."""
    start = MODELS[wildcards.model]["parameters"].get("pretrained")
    if start is None:
        return []
    if start == "mlm":
        name = find_sharer(wildcards.model, MODELS)
        return f"results/pretrained/mlm/{wildcards.scheme}/{name}/model.safetensors"
    if "directory" in start:
        return f"{start['directory']}/model.safetensors"
    return hub_weights(start)


def get_truth(wildcards):
    """All labels, for a model that is allowed to see them: the oracle."""
    seen = MODELS[wildcards.model]["sees_truth"]
    return f"results/data/{wildcards.dataset}/molecules.parquet" if seen else []


def get_predictions(wildcards):
    """Predictions of every model and seed of one task."""
    task = (wildcards.dataset, wildcards.property, wildcards.scheme)
    return [
        f"results/predictions/{run.stem}.parquet"
        for run in RUNS
        if task == (run.dataset, run.property, run.scheme)
    ]


def get_figures(wildcards):
    """All figures of the leaderboard."""
    figures = [
        f"results/plots/{kind}/{each}.png"
        for kind in ("heatmap", "ratio")
        for each in config["schemes"]
    ]
    figures += [f"results/plots/policy/{run.stem}.png" for run in POLICY_RUNS]
    return figures + [
        f"results/plots/{kind}/{'/'.join(t)}.png"
        for kind in ("parity", "distribution")
        for t in TASKS
    ]


def get_property(wildcards):
    """Registry entry of a property: label, unit and kind."""
    return DATASETS[wildcards.dataset]["properties"][wildcards.property]


def code_of(*modules, **files):
    """A parameter that changes when the code of the modules does; names may hold wildcards."""
    return lambda wildcards: code_hash(
        *(name.format(**wildcards) for name in modules), **files
    )


def code_of_dataset(wildcards):
    """A parameter that changes when the code of the wildcards' kind of dataset does."""
    kind = DATASETS[wildcards.dataset]["kind"]
    return code_hash(
        "boomlib.datasets.prepare", f"boomlib.datasets.{kind}", files=(ENVIRONMENT,)
    )


def code_of_model(wildcards):
    """A parameter that changes when the code of the wildcards' model does."""
    file = MODELS[wildcards.model]["class"].rpartition(".")[0]
    return code_hash("boomlib.harness.job", f"boomlib.models.{file}")


def code_of_pretraining(wildcards):
    """A parameter that changes when the code that pretrains the wildcards' model does."""
    file = MODELS[wildcards.model]["class"].rpartition(".")[0]
    return code_hash("boomlib.harness.pretraining", f"boomlib.models.{file}")


def report_failures():
    """After a failed run, write a leaderboard of what there is, with the failures and their reasons."""
    from boomlib.report.build import write_partial

    write_partial("results", RUNS, config=config, datasets=DATASETS, models=MODELS)
