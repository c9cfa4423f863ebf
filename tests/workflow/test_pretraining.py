"""What language models start from is made once, and only where a model asks for it."""

import json
import os

import pytest
import yaml

REVISION = "0123456789" * 4
LANGUAGE = {
    "of": "chemberta_small",
    "label": "Language",
    "source": "none",
    "parameters": {"pretraining": {"epochs": 1}, "training": {"epochs": 1}},
}
CORPUS = "Collect what pretraining may read, kde split"


@pytest.fixture
def plan(project):
    """The jobs up to training, but for those on molecules and features, that variants of a language model ask for."""
    (project.folder / "config/models/language.yaml").write_text(yaml.safe_dump(LANGUAGE))

    def planned(config=None, **variants):
        entries = {name: {"of": "language", "label": name, "parameters": each} for name, each in variants.items()}
        project.write_config(models=["language", *variants], variants=entries, **(config or {}))
        found = project.planned()
        return {job for job in found if job.split()[0] in ("Collect", "Pretrain", "Download", "Split", "Train")} - {
            "Collect the metrics of all runs",
            "Collect the intervals of all models",
        }

    planned.folder, planned.project = project.folder, project
    return planned


def train(*models):
    return {f"Train {name} (seed 0) on tiny/size, kde split" for name in models}


def split(*names):
    return {f"Split tiny/{name} by kde" for name in names}


@pytest.mark.slow
def test_models_that_pretrain_alike_share_one_pretraining_on_the_folds_of_all_properties(plan):
    planned = plan(
        mean={"pretrained": "mlm"},
        crossed={"pretrained": "mlm", "read_out": "crossed"},
        wide={"pretrained": "mlm", "network": {"hidden_size": 16}},
        wide_long={"pretrained": "mlm", "network": {"hidden_size": 16}, "training": {"epochs": 2}},
    )
    pretrained = {"Pretrain language, kde split", "Pretrain wide, kde split"}
    models = train("language", "mean", "crossed", "wide", "wide_long")
    assert planned == models | pretrained | split("size", "polarity") | {CORPUS}


@pytest.mark.slow
def test_from_scratch_and_from_a_directory_nothing_is_pretrained(plan):
    (plan.folder / "weights").mkdir()
    for name in ("model.safetensors", "config.json", "tokenizer.json"):
        (plan.folder / "weights" / name).touch()
    planned = plan(own={"pretrained": {"directory": "weights"}})
    assert planned == train("language", "own") | split("size")


def test_a_directory_without_a_tokenizer_ends_with_one_clear_message(project):
    (project.folder / "weights").mkdir()
    for name in ("model.safetensors", "config.json"):
        (project.folder / "weights" / name).touch()
    own = {"of": "chemberta_small", "label": "own", "parameters": {"pretrained": {"directory": "weights"}}}
    project.write_config(models=["own"], variants={"own": own})
    done = project.snakemake("--dry-run", check=False)
    assert done.returncode != 0
    assert "models: own: parameters.pretrained.directory: weights: no tokenizer, which is" in done.stdout
    assert "Traceback" not in done.stdout


def test_a_checkpoint_of_the_hub_is_downloaded_once(plan):
    hub = {"hub": "org/some.name-1", "revision": REVISION}
    planned = plan(one={"pretrained": hub}, two={"pretrained": hub, "read_out": "crossed"})
    downloads = {"Download org/some.name-1 from the hub"}
    assert planned == train("language", "one", "two") | split("size") | downloads


@pytest.mark.slow
def test_the_corpus_reads_other_datasets_as_well(plan):
    path = plan.folder / "config/datasets.yaml"
    registry = yaml.safe_load(path.read_text())
    registry["datasets"]["other"] = registry["datasets"]["tiny"]
    path.write_text(yaml.safe_dump(registry, sort_keys=False))
    planned = plan({"corpus": ["other"]}, mean={"pretrained": "mlm"})
    assert {job for job in planned if "other" in job} == {"Split other/size by kde", "Split other/polarity by kde"}


@pytest.mark.slow
def test_what_the_corpus_held_of_a_task_is_counted_for_the_page_without_any_training(plan):
    exposure = "results/exposure/tiny/size/kde.json"
    plan(mean={"pretrained": "mlm"})
    count = "Count what pretraining saw of tiny/size, kde split"
    assert count in plan.project.planned()
    plan.project.snakemake(exposure)
    counts = json.loads((plan.folder / exposure).read_text())
    assert (counts["ood"]["molecules"], counts["ood"]["exposed"], counts["id"]["exposed"]) == (20, 0, 0)
    assert plan.project.planned(exposure) == set()
    plan(mean={"pretrained": None})
    assert count not in plan.project.planned()


@pytest.mark.slow
def test_a_checkpoint_in_the_mirror_counts_by_what_it_holds(plan, tmp_path, monkeypatch):
    mirrored = tmp_path / f"mirror/org--some@{REVISION}"
    mirrored.mkdir(parents=True)
    for name in ("model.safetensors", "config.json", "tokenizer.json"):
        (mirrored / name).write_text("first")
    monkeypatch.setenv("BOOM_MIRROR", str(mirrored.parent))
    plan(one={"pretrained": {"hub": "org/some", "revision": REVISION}})
    weights = f"results/pretrained/hub/{mirrored.name}/model.safetensors"
    plan.project.snakemake(weights)
    (mirrored / "model.safetensors").write_text("other")
    os.utime(mirrored / "model.safetensors", (1e9, 1e9))
    assert plan.project.planned(weights) == {"Download org/some from the hub"}
    plan.project.snakemake(weights)
    assert (plan.folder / weights).read_text() == "other"
    (mirrored / "tokenizer.json").touch()
    assert plan.project.planned(weights) == set()
    monkeypatch.delenv("BOOM_MIRROR")
    assert plan.project.planned(weights) == set()
