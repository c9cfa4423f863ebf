"""Columns of physics as models read them."""

import numpy as np
import pyarrow as pa
import pytest

from boomlib.features import elements
from boomlib.features.xtb import COLUMNS
from boomlib.harness.interface import Molecules
from boomlib.harness.physics import GROWING, Physics, read_physics

SMILES = ["C" * n + tail for n in range(1, 9) for tail in ("O", "N", "C(=O)O", "F")]
NAMES = list(COLUMNS)
GROW = [NAMES.index(name) for name in GROWING]


def make(values=None, smiles=SMILES) -> Molecules:
    """Molecules with such columns, [n, columns]; by default what grows is the elements' and a little of its own."""
    found = elements.compute(smiles)
    rng = np.random.default_rng(0)
    if values is None:
        values = rng.normal(size=(len(smiles), len(NAMES)))
    table = pa.table(
        {name: pa.array(values[:, column], pa.float32(), from_pandas=True) for column, name in enumerate(NAMES)}
    )
    features = {"elements": pa.table(found), "xtb": table.append_column("note", pa.nulls(len(smiles), pa.string()))}
    return Molecules(np.arange(len(smiles)), np.array(smiles, dtype=object), np.zeros(len(smiles)), features)


@pytest.mark.parametrize("kind", ["extensive", "intensive"])
def test_what_the_elements_explain_of_a_growing_column_is_taken_away(kind):
    molecules = make()
    counts = np.column_stack([column.to_numpy() for column in molecules.features["elements"].columns])
    values = np.random.default_rng(1).normal(size=(len(SMILES), len(NAMES)))
    own = 0.01 * values[:, GROW]
    values[:, GROW] = counts @ np.random.default_rng(2).normal(size=(counts.shape[1], len(GROW))) * 100 + own
    molecules = make(values)
    physics = Physics("xtb", kind, 1.0).fit(molecules)
    left = physics.transform(molecules)
    assert left.shape == values.shape
    size = counts.sum(axis=1, keepdims=True) if kind == "intensive" else 1
    assert np.abs(left[:, GROW] * size).max() < 0.1, "of values in the hundreds"
    others = np.delete(np.arange(len(NAMES)), GROW)
    inside = np.abs(values) < 3
    np.testing.assert_allclose(left[:, others][inside[:, others]], values[:, others][inside[:, others]], rtol=1e-6)


@pytest.mark.parametrize("wild", [1e3, -1e9])
def test_a_wild_molecule_of_train_hardly_moves_the_columns_of_others(wild):
    values = read_physics(make(), "xtb")
    counts = np.column_stack([column.to_numpy() for column in make().features["elements"].columns])
    values[:, GROW] += counts @ np.random.default_rng(2).normal(size=(counts.shape[1], len(GROW)))
    asked = make(values)
    tame = Physics("xtb", "extensive", 1.0).fit(asked).transform(asked)
    values = values.copy()
    values[5] = wild
    moved = Physics("xtb", "extensive", 1.0).fit(make(values)).transform(asked)
    others = np.arange(len(SMILES)) != 5
    assert np.abs(moved[others] - tame[others]).max() < 3, "of normal values"


def test_a_wild_molecule_of_train_widens_no_range():
    values = read_physics(make(), "xtb")
    values[5] = 1e9
    physics = Physics("xtb", "extensive", 1.0).fit(make(values))
    asked = read_physics(make(), "xtb")
    asked[0] = 1e4
    assert physics.transform(make(asked))[0].max() < 20, "train's other values are normal, and a margin is their width"


def test_a_wild_molecule_of_a_test_fold_changes_no_other():
    train = make()
    physics = Physics("xtb", "extensive", 1.0).fit(train)
    values = read_physics(train, "xtb")
    values[5] = 1e9
    others = np.arange(len(SMILES)) != 5
    np.testing.assert_array_equal(physics.transform(make(values))[others], physics.transform(train)[others])


def test_a_gap_becomes_the_median_and_a_wild_value_is_clipped():
    physics = Physics("xtb", "extensive", 1.0).fit(train := make())
    known = physics.transform(train)
    values = read_physics(train, "xtb")
    values[0], values[1, 0], values[2, 5] = np.nan, 1e9, -1e9
    found = physics.transform(make(values))
    np.testing.assert_allclose(found[0], np.median(known, axis=0), atol=1e-5)
    low, high = known.min(axis=0), known.max(axis=0)
    assert (found >= low - (high - low) - 1e-5).all()
    assert (found <= high + (high - low) + 1e-5).all()
    np.testing.assert_allclose(found[3:], known[3:])


def test_a_molecule_of_train_without_an_answer_is_no_part_of_the_fit():
    values = read_physics(make(), "xtb")
    values[-1] = np.nan
    fitted = Physics("xtb", "extensive", 1.0).fit(make(values))
    alone = Physics("xtb", "extensive", 1.0).fit(make(values[:-1], SMILES[:-1]))
    np.testing.assert_allclose(fitted.contributions, alone.contributions)
    asked = make()
    np.testing.assert_allclose(fitted.transform(asked), alone.transform(asked), rtol=1e-6)
