"""Files of each published version, small ones kept under tests/files, are still read."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import write_files
from conftest import ROOT
from tiny import feature_files

from boomlib import contracts, registry
from boomlib.evaluation.records import read_record
from boomlib.evaluation.summary import list_measurements
from boomlib.files import read_json
from boomlib.harness.interface import STATE, find_model_class
from boomlib.harness.job import read_task
from boomlib.harness.training import read_state
from boomlib.version import VERSION

MODELS = registry.load_models()
KEPT = sorted(path.parent.parent for path in (ROOT / "tests/files").glob("*/*/seed3/run.json"))
STOPPED = [folder for folder in KEPT if (folder / STATE).is_dir()]


def list_cases(folders: list[Path]) -> list:
    """A case a folder; this version's, whose code has only just written them, are slow."""
    return [
        pytest.param(folder, id=name(folder), marks=[pytest.mark.slow] * (folder.parent.name == VERSION))
        for folder in folders
    ]


def name(folder: Path) -> str:
    return f"{folder.parent.name}-{folder.name}"


def remake(folder: Path):
    """The model of a record, not yet fitted, and the molecules of its version: train, valid, those to predict."""
    record = read_json(folder / "seed3/run.json")
    files = feature_files(MODELS[folder.name], folder.parent)
    molecules, fold = read_task(folder.parent / "task.parquet", files)
    model = find_model_class(record["model"]["class"])(kind="extensive", seed=3, **record["model"]["parameters"])
    asked = np.isin(fold, contracts.PREDICTED_FOLDS)
    return model, [molecules.take(chosen) for chosen in (fold == "train", fold == "valid", asked)]


def test_this_version_has_its_files():
    assert {folder.name for folder in KEPT if folder.parent.name == VERSION} == set(write_files.KEPT)


@pytest.mark.parametrize("folder", list_cases(KEPT))
def test_a_kept_model_predicts_what_it_did(folder):
    model, (_, _, asked) = remake(folder)
    model.load(folder / "seed3")
    fold = contracts.read_split(folder.parent / "split.parquet")[0]
    table = contracts.read_predictions(folder / "seed3.parquet", fold)
    np.testing.assert_allclose(model.predict(asked).mean, table["y_pred"].to_numpy(), rtol=1e-4)


@pytest.mark.parametrize("folder", KEPT, ids=name)
def test_records_and_scores_are_read(folder):
    record = read_record(folder / "seed3")
    assert record["n_train"] == "14"
    assert float(record["seconds"]) > 0
    assert record["versions"].startswith("python==3.")
    measured = {
        (fold, metric): values[0]
        for fold, metric, _, _, _, values in list_measurements(read_json(folder / "metrics.json"))
    }
    assert np.isfinite([measured[fold, "rmse"] for fold in ("valid", "id", "ood")]).all()


@pytest.mark.parametrize("folder", list_cases(STOPPED))
def test_a_stopped_training_goes_on(folder, tmp_path):
    shutil.copytree(folder / STATE, tmp_path / STATE)
    before = read_state(folder / STATE / "last.ckpt")
    assert before["epoch"] == 1
    model, (train, valid, asked) = remake(folder)
    model.unlabelled = asked
    model.fit(train, valid, tmp_path)
    found, expected = (pd.read_csv(path / "history.csv") for path in (tmp_path, folder / "seed3"))
    pd.testing.assert_frame_equal(found, expected, rtol=1e-3)
