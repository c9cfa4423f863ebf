"""Predictions of others, from the blinded task to the leaderboard: docs/own_predictions.md as it stands."""

import json
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import read_block
from rdkit import Chem

PAGE = "docs/own_predictions.md"
TASK = "tiny/size/kde"
on_one_worker = pytest.mark.xdist_group("own predictions")  # which then makes what they share once
NAMED = ["oracle", "train_mean", "ridge", "mlp"]


def write_descriptor(project, name, split, **changes):
    """The page's descriptor, of the tiny task and under another name."""
    text = read_block(PAGE, "external descriptor").replace("carbons/{", f"{name}/{{").replace("csd10k/hof/kde", TASK)
    descriptor = yaml.safe_load(text) | changes
    descriptor["parameters"]["splits"][TASK] = split
    (project.folder / f"config/models/{name}.yaml").write_text(yaml.safe_dump(descriptor))


def write_ridge(project, name, key):
    """What ridge has predicted, as a file of somebody who names molecules by ``key``; SMILES in another spelling."""
    table = pd.read_parquet(project.folder / f"results/predictions/{TASK}/ridge/seed0.parquet")
    smiles = pd.read_parquet(project.folder / f"results/tasks/{TASK}.parquet").set_index("molecule_id")["smiles"]
    spelled = [Chem.MolToSmiles(Chem.MolFromSmiles(each), kekuleSmiles=True, rootedAtAtom=0) for each in smiles]
    table["smiles"] = table["molecule_id"].map(dict(zip(smiles.index, spelled, strict=True)))
    file = project.folder / f"external/{name}/{TASK}/seed0.csv"
    file.parent.mkdir(parents=True)
    table[::-1][[key, "y_pred"]].to_csv(file, index=False)
    return file


def read_json(project, path):
    return json.loads((project.folder / path).read_text())


@pytest.mark.slow
def test_a_file_that_is_not_there_is_named_before_anything_runs_and_only_where_it_is_asked_for(project):
    write_descriptor(project, "theirs", "0123456789ab")
    assert project.planned()
    project.write_config(models=[*NAMED, "theirs"])
    done = project.snakemake("--dry-run", check=False)
    assert done.returncode != 0
    assert f"external model 'theirs': no file external/theirs/{TASK}/seed0.csv in" in done.stdout
    assert "Traceback" not in done.stdout
    file = project.folder / f"external/theirs/{TASK}/seed0.csv"
    file.parent.mkdir(parents=True)
    file.write_text("smiles,y_pred\n")
    planned = project.planned()
    assert "Read the predictions of theirs (seed 0) on tiny/size, kde split" in planned
    assert "Describe tiny/size, kde split, with its hash" in planned


@pytest.fixture(scope="module")
def taken(finished, tmp_path_factory):
    """A finished benchmark with the page's model, ridge's predictions under two names, and a committee with one."""
    project = finished.copy(tmp_path_factory.mktemp("taken") / "p")
    project.snakemake(f"results/tasks/{TASK}.json")
    split = read_json(project, f"results/tasks/{TASK}.json")["split"]
    script = read_block(PAGE, "own predictions").replace("csd10k/hof/kde", TASK)
    subprocess.run([sys.executable, "-c", script], cwd=project.folder, check=True)
    for name, key in (("numbered", "molecule_id"), ("spelled", "smiles")):
        write_ridge(project, name, key)
        write_descriptor(project, name, split, label=name.capitalize())
    write_descriptor(project, "carbons", split)
    pair = {"of": "committee", "label": "Pair", "parameters": {"members": ["mlp", "carbons"], "folds": 2}}
    project.write_config(models=[*NAMED, "numbered", "spelled", "carbons", "pair"], variants={"pair": pair})
    project.snakemake("results/leaderboard.md")
    return project


@on_one_worker
@pytest.mark.slow
def test_the_same_predictions_have_the_same_scores_whoever_made_them(taken):
    stem, ridge = f"results/metrics/{TASK}", "results/predictions/" + TASK
    expected = read_json(taken, f"{stem}/ridge/seed0.json")
    for name in ("numbered", "spelled"):
        assert read_json(taken, f"{stem}/{name}/seed0.json") == expected | {"run": expected["run"] | {"model": name}}
        made = (taken.folder / ridge / name / "seed0.parquet").read_bytes()
        assert made == (taken.folder / ridge / "ridge/seed0.parquet").read_bytes()
    task = read_json(taken, f"results/tasks/{TASK}.json")
    assert (task["split"], task["version"]) == (expected["split"], expected["version"])
    assert {fold: expected["folds"][fold]["n"] for fold in ("valid", "id", "ood")} | {
        "train": expected["n_train"]
    } == task["folds"]


@on_one_worker
@pytest.mark.slow
def test_the_leaderboard_marks_external_models_and_ranks_them(taken):
    page = re.sub(" +", " ", (taken.folder / "results/leaderboard.md").read_text())
    assert "Every run finished." in page
    assert page.count("| Numbered (external) | external ") == 1
    assert "*External* are models that others have made" in page
    assert "| Numbered (external) | — | unknown " in page.split("## Training")[1]
    assert "fitted to train; an example. Licence: CC-BY-4.0. https://example.org/carbons" in page
    assert "| Pair " in page
    best = page.split("### Best of each task")[1].split("###")[0]
    assert "| By SMILES " in best and "| External " in best
    runs = pd.read_csv(taken.folder / "results/runs.csv", dtype=str, keep_default_na=False).set_index("model")
    assert runs.loc["carbons", ["status", "device", "seconds"]].tolist() == ["done", "unknown", ""]
    table = pd.read_csv(taken.folder / "results/leaderboard.csv")
    ood = table[(table["metric"] == "rmse") & (table["fold"] == "ood")].set_index("model")
    assert ood.loc["numbered", "mean"] == ood.loc["ridge", "mean"]
    assert np.isfinite(ood.loc[["carbons", "pair"], "mean"]).all()


@on_one_worker
@pytest.mark.slow
def test_new_numbers_are_read_again_and_a_new_date_is_not(taken, tmp_path):
    project = taken.copy(tmp_path / "p")
    file = project.folder / f"external/carbons/{TASK}/seed0.csv"
    file.touch()
    assert project.planned() == set()
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:-1], f"{lines[-1].split(',')[0]},0"]))
    planned = project.planned()
    assert {each for each in planned if "tiny/size, kde split" in each and "hardest" not in each} == {
        "Read the predictions of carbons (seed 0) on tiny/size, kde split",
        "Score carbons (seed 0) on tiny/size, kde split",
        "Train pair (seed 0) on tiny/size, kde split",
        "Score pair (seed 0) on tiny/size, kde split",
        "Judge the intervals of carbons on tiny/size, kde split",
        "Judge the intervals of pair on tiny/size, kde split",
        "Plot predictions of tiny/size, kde split",
    }
    assert "Write the leaderboard" in planned


@on_one_worker
@pytest.mark.slow
def test_predictions_of_a_foreign_split_are_refused_and_the_page_says_so(taken, tmp_path):
    project = taken.copy(tmp_path / "p")
    write_descriptor(project, "carbons", "fedcba987654")
    done = project.snakemake("--keep-going", "results/leaderboard.md", check=False)
    assert done.returncode != 0
    ours = read_json(project, f"results/tasks/{TASK}.json")["split"]
    page = (project.folder / "results/leaderboard.partial.md").read_text()
    assert f"answers split fedcba987654 of {TASK}, and ours is {ours}" in page
    assert f"logs/train/{TASK}/carbons/seed0.log" in page
    write_descriptor(project, "carbons", ours)
    project.snakemake("results/leaderboard.md")
    assert not (project.folder / "results/leaderboard.partial.md").exists()
