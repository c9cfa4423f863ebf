"""What one molecule with wild physics does to what a model with physics says of the others."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import tiny
from tiny import feature_files, small_descriptor, write_benchmark

from boomlib.harness.interface import Molecules, find_model_class
from boomlib.harness.job import read_task

MODELS = ["physics_ridge", "physics_boost"]
WILD = 1e6


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    """Molecules with their physics, and their folds."""
    folder = tmp_path_factory.mktemp("benchmark")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny, "FOLDS", [fold for fold in tiny.FOLDS for _ in range(8)])
        write_benchmark(folder, small_descriptor("physics_ridge")["features"])
    return read_task(folder / "task.parquet", feature_files(small_descriptor("physics_ridge"), folder))


def make_wild(molecules: Molecules, row: int) -> Molecules:
    """The molecules with wild values in all columns of one's physics."""
    table = molecules.features["xtb"]
    for place, name in enumerate(table.column_names):
        if name != "note":
            values = table[name].to_numpy().copy()
            values[row] = WILD
            table = table.set_column(place, name, pa.array(values, table[name].type))
    return replace(molecules, features=molecules.features | {"xtb": table})


def predict(name: str, molecules: Molecules, fold: np.ndarray, folder) -> np.ndarray:
    descriptor = small_descriptor(name)
    model = find_model_class(descriptor["class"])(**descriptor["parameters"], kind="extensive", seed=0)
    model.fit(molecules.take(fold == "train"), molecules.take(fold == "valid"), folder)
    return model.predict(molecules).mean


@pytest.mark.parametrize("name", MODELS)
def test_in_train_it_moves_the_others_by_a_bounded_amount(name, task, tmp_path):
    molecules, fold = task
    row = int(np.flatnonzero(fold == "train")[7])
    others = np.arange(len(fold)) != row
    usual, moved = (predict(name, each, fold, tmp_path) for each in (molecules, make_wild(molecules, row)))
    labels = molecules.y[fold == "train"].std()
    assert 0 < np.abs(moved - usual)[others].max() < 0.2 * labels


@pytest.mark.parametrize("name", MODELS)
def test_in_a_test_fold_it_moves_no_other(name, task, tmp_path):
    molecules, fold = task
    row = int(np.flatnonzero(fold == "ood")[0])
    others = np.arange(len(fold)) != row
    usual, moved = (predict(name, each, fold, tmp_path) for each in (molecules, make_wild(molecules, row)))
    np.testing.assert_array_equal(moved[others], usual[others])
    # and its own prediction is no further than its columns' margins
    assert np.abs(moved[row]) < 20 * np.abs(molecules.y[fold == "train"]).max()
