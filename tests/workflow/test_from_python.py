"""`import boomlib`: a task, its scores and the leaderboard from Python, of the same files as the workflow's."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from conftest import TINY, make_molecules, read_block, write_feature

import boomlib
from boomlib import on_demand
from boomlib.files import ContractError, read_json

STEM = "tiny/size/kde/ridge/seed0"


@pytest.fixture
def task(finished):
    return boomlib.load_task("tiny/size", folder=finished.folder)


@pytest.fixture
def predicted(finished):
    return pd.read_parquet(finished.folder / f"results/predictions/{STEM}.parquet")[["molecule_id", "y_pred"]]


@pytest.fixture
def no_snakemake(monkeypatch):
    def start(command, folder):
        raise AssertionError(f"started {command}")

    monkeypatch.setattr(on_demand, "follow", start)


def test_import_is_light():
    heavy = "{'pandas', 'numpy', 'pyarrow', 'sklearn', 'torch', 'rdkit', 'snakemake'}"
    code = f"import boomlib, sys; boomlib.__version__; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_what_boomlib_does_not_have_is_no_attribute():
    with pytest.raises(AttributeError, match="no attribute 'load_tasks'"):
        boomlib.load_tasks  # noqa: B018


def test_a_task_has_the_molecules_of_the_workflow_and_no_label_of_test(finished, task, no_snakemake):
    table = pq.read_table(finished.folder / "results/tasks/tiny/size/kde.parquet").to_pandas()
    for name, part in (("train", task.train), ("valid", task.valid)):
        rows = table[table["fold"] == name]
        assert part.smiles.tolist() == rows["smiles"].tolist()
        assert part.y.tolist() == rows["y"].tolist()
    test = table[table["fold"].isin(["id", "ood"])]
    assert task.test.molecule_id.tolist() == test["molecule_id"].tolist()
    assert len(task.all) == len(table)
    assert not hasattr(task.test, "y")
    assert np.isnan(task.test.with_features("elements").y).all()
    assert (task.unit, task.kind) == ("kcal/mol", "extensive")
    assert task.split == read_json(finished.folder / f"results/metrics/{STEM}.json")["split"]
    assert repr(task).startswith("tiny/size (kcal/mol, extensive), kde split: train ")


def test_scores_are_those_of_the_workflow_to_the_last_bit(finished, task, predicted):
    folds = read_json(finished.folder / f"results/metrics/{STEM}.json")["folds"]
    found = task.evaluate(predicted)
    for (fold, metric), row in found.drop(index=["normalised_rmse", "ood_id_ratio"], level="metric").iterrows():
        expected = folds[fold]["metrics"][metric] if folds[fold]["n"] else dict.fromkeys(("value", "low", "high"))
        assert [None if np.isnan(row[key]) else row[key] for key in expected] == list(expected.values())
        assert row["n_molecules"] == folds[fold]["n"]
    assert set(found.index.get_level_values("fold")) == set(folds)
    of_test = predicted.set_index("molecule_id").loc[task.test.molecule_id, "y_pred"].to_numpy()
    pd.testing.assert_frame_equal(task.evaluate(of_test), found.drop(index="valid", level="fold"), check_exact=True)


def test_wrong_predictions_are_refused(task):
    with pytest.raises(ContractError, match=r"predictions: an array of shape \(1,\) for \d+ molecules of `test`"):
        task.evaluate([0.0])


def test_files_that_have_changed_since_are_noticed(finished, tmp_path):
    copy = finished.copy(tmp_path / "copy")
    task = boomlib.load_task("tiny/size", folder=copy.folder)
    table = pq.read_table(task.files["split"])
    pq.write_table(table.set_column(1, table.schema.field("fold"), table["fold"][::-1]), task.files["split"])
    with pytest.raises(ContractError, match=r"of other molecules or folds than .*; delete the three"):
        task.evaluate(np.zeros(len(task.test)))


def test_molecules_that_were_made_anew_by_themselves_are_noticed(finished, tmp_path, no_snakemake):
    copy = finished.copy(tmp_path / "copy")
    path = copy.folder / "results/data/tiny/molecules.parquet"
    table = pq.read_table(path)
    pq.write_table(table.set_column(1, table.schema.field("smiles"), table["smiles"][::-1]), path)
    with pytest.raises(ContractError, match=r"size/kde\.parquet: of other molecules or folds than"):
        boomlib.load_task("tiny/size", folder=copy.folder)


def test_the_leaderboard_of_a_task_is_sorted_by_ood_and_has_the_numbers_of_the_csv(finished):
    metrics = boomlib.leaderboard(folder=finished.folder)
    board = boomlib.leaderboard("tiny/size", folder=finished.folder)
    assert board.index[-2:].tolist() == ["oracle", "train_mean"]
    ranked = board[~board["control"]]
    assert set(ranked.index) == {"ridge", "mlp"}
    assert ranked["ood"].is_monotonic_increasing
    ood = metrics[(metrics["fold"] == "ood") & (metrics["metric"] == "rmse")].set_index("model")
    for model, row in board.iterrows():
        assert [row["ood"], row["ood_low"], row["ood_high"]] == ood.loc[model, ["mean", "low", "high"]].tolist()
    assert board.loc["ridge", "label"] == "Ridge"


def test_own_scores_stand_in_the_leaderboard_of_the_same_split(finished, task, predicted):
    scores = task.evaluate(predicted)
    board = task.compare(scores, "Mine")
    own, ridge = board.loc["Mine"], board.loc["ridge"]
    assert [own[key] for key in ("id", "ood_low", "ood_high")] == pytest.approx(
        [ridge[key] for key in ("id", "ood_low", "ood_high")], rel=1e-9
    )  # the CSV has ten digits
    assert abs(board.index.get_loc("Mine") - board.index.get_loc("ridge")) == 1
    with pytest.raises(ContractError, match="'ridge' is a model of tiny/size already"):
        task.compare(scores, "ridge")
    task.split = "another"
    with pytest.raises(ContractError, match="scores of one split alone may stand in one table"):
        task.compare(scores, "Mine")


def test_a_leaderboard_that_is_not_there(project, finished):
    with pytest.raises(ContractError, match=r"results/leaderboard\.csv: no such file; run `snakemake --cores 4"):
        boomlib.leaderboard("tiny/size", folder=project.folder)
    with pytest.raises(
        ContractError, match=r"unknown task 'tiny/sise, scheme kde'; did you mean 'tiny/size, scheme k"
    ):
        boomlib.leaderboard("tiny/sise", folder=finished.folder)
    with pytest.raises(ContractError, match=r"unknown page 'csd'; known: none"):
        boomlib.leaderboard("tiny/size", page="csd", folder=finished.folder)


def test_a_published_page_is_a_leaderboard():
    board = boomlib.leaderboard("csd10k/hof", page="csd10k")
    assert board.loc["ridge", "label"] == "Ridge"
    assert board.index[0] in set(board.index[~board["control"]])
    assert (board["n_seeds"] == 3).all()


@pytest.mark.parametrize(
    ("name", "scheme", "message"),
    [
        ("tinny/size", "kde", "unknown dataset 'tinny'; did you mean 'tiny'"),
        ("tiny/sise", "kde", "unknown property of tiny 'sise'; did you mean 'size'"),
        ("tiny", "kde", "task tiny: a task is a property of a dataset; give dataset/property, as csd10k/hof"),
        ("tiny/", "kde", "unknown property of tiny ''; known: polarity, size"),
        ("tiny/size", "scaffolds", "unknown scheme 'scaffolds'; did you mean 'scaffold'"),
    ],
)
def test_an_unknown_name_suggests_the_nearest(finished, no_snakemake, name, scheme, message):
    with pytest.raises(ContractError, match=message):
        boomlib.load_task(name, scheme, folder=finished.folder)


def test_an_unknown_feature_and_a_folder_without_a_workflow(task, no_snakemake, tmp_path):
    with pytest.raises(ContractError, match="unknown feature 'mackeys'; did you mean 'maccs'"):
        task.train.features("mackeys")
    with pytest.raises(ContractError, match="no checkout of the benchmark"):
        boomlib.load_task("csd10k/hof", folder=tmp_path)


def test_a_feature_is_made_on_demand_and_aligned(finished, tmp_path, capfd):
    copy = finished.copy(tmp_path / "copy")
    assert not (copy.folder / "results/features/tiny/maccs.parquet").exists()
    task = boomlib.load_task("tiny/size", folder=copy.folder)
    found = task.test.features("maccs")
    assert "Compute maccs of tiny" in capfd.readouterr().err
    write_feature("maccs", task.files["molecules"], tmp_path / "maccs.parquet")
    expected = pd.read_parquet(tmp_path / "maccs.parquet").set_index("molecule_id")
    pd.testing.assert_frame_equal(found, expected.loc[task.test.molecule_id], check_names=False)


@pytest.mark.slow
def test_the_examples_of_the_pages_run_as_they_stand_there(finished, tmp_path):
    """Of the tiny dataset, whose results are a publication as well."""
    copy = finished.copy(tmp_path / "copy")
    page = copy.folder / "docs/benchmarks/csd10k"
    page.mkdir(parents=True)
    shutil.copy(copy.folder / "results/leaderboard.csv", page)
    usage = (read_block("docs/usage.md", marker) for marker in ("task", "leaderboard", "judge"))
    code = "\n".join([read_block("README.md", "from Python"), *usage]).replace("csd10k/hof", "tiny/size")
    code = code.replace('f"results/', f'f"{copy.folder}/results/')  # which is asked from elsewhere
    environment = os.environ | {"PYTHONPATH": str(copy.folder)}  # its code, and so its checkout
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Compute maccs of tiny" in done.stderr
    assert "worst_five_share" in done.stdout
    assert "Train mean" in done.stdout


@pytest.mark.slow
def test_a_dataset_of_ones_own_by_its_configuration_and_why_it_cannot_be_made(project):
    entry = TINY | {"file": "own.csv", "properties": {"size": TINY["properties"]["size"]}}
    config = {"tasks": ["own/size"], "models": ["ridge"], "datasets": {"own": entry}}
    (project.folder / "own.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(ContractError, match="unknown dataset 'own'"):
        boomlib.load_task("own/size", folder=project.folder)
    (project.folder / "own.csv").write_text("smiles,weight\nC,1\n")
    with pytest.raises(ContractError, match=r"own\.csv: no column 'size' .*\(logs/prepare_molecules/own\.log\); mend"):
        boomlib.load_task("own/size", folder=project.folder, configfile="own.yaml")
    make_molecules(160).to_csv(project.folder / "own.csv", index=False)
    task = boomlib.load_task("own/size", folder=project.folder, configfile="own.yaml")
    assert len(task.all) == 160
    assert list(task.evaluate(np.full(len(task.test), task.train.y.mean())).index.levels[0]) == [
        "id",
        "ood",
        "ood_interior",
        "ood_tail",
    ]
