"""Bilinear transduction."""

import dataclasses
import functools

import numpy as np
import pyarrow as pa
import pytest
from conftest import make_molecules
from sklearn.cross_decomposition import PLSRegression
from sklearn.neural_network import MLPRegressor
from threadpoolctl import threadpool_limits

from boomlib.features import elements, morgan_counts
from boomlib.harness.interface import Molecules
from boomlib.models.tabular.bilinear import Bilinear, find_directions, multiply, pair_up

RIDGE = {"radius": 0, "min_molecules": 2, "margin": None, "penalties": [0.001, 0.1, 10]}
PENALTIES = [0.001, 1, 1000, 1e6]


@pytest.fixture(autouse=True)
def one_thread():
    with threadpool_limits(1):
        yield


def molecules_of(smiles, y) -> Molecules:
    """Molecules with the two tables that counts come from."""
    tables = {"elements": elements.compute(smiles), "morgan_counts": morgan_counts.compute(smiles)}
    features = {name: pa.table(columns) for name, columns in tables.items()}
    return Molecules(np.arange(len(smiles)), np.array(smiles, dtype=object), np.asarray(y, dtype=float), features)


def make(carbons, oxygens) -> Molecules:
    """Chains whose label is the product of carbons and oxygens, which changes of one are worth by the other."""
    pairs = [(c, o) for c in carbons for o in oxygens]
    return molecules_of(["C" * c + "O" * o for c, o in pairs], [c * o for c, o in pairs])


@functools.cache
def task() -> tuple[Molecules, Molecules, Molecules]:
    """Train, valid and test molecules with an additive property."""
    frame = make_molecules(90)
    everything = molecules_of(frame["smiles"].tolist(), frame["size"])
    order = np.random.default_rng(3).permutation(90)
    return tuple(everything.take(rows) for rows in np.split(order, [60, 75]))


def new(components=6, anchors=5, kind="extensive") -> Bilinear:
    return Bilinear(kind=kind, seed=0, ridge=RIDGE, penalties=PENALTIES, components=components, anchors=anchors)


def fit(folder, train, valid, **arguments) -> Bilinear:
    model = new(**arguments)
    model.fit(train, valid, folder)
    return model


def rmse(predicted, molecules) -> float:
    return float(np.sqrt(np.mean((predicted - molecules.y) ** 2)))


def test_a_product_is_followed_beyond_trains_range_where_a_line_and_a_perceptron_are_not(tmp_path):
    oxygens = (1, 8, 16)  # so far apart that the nearest molecules have as many
    train, valid, beyond = (make(carbons, oxygens) for carbons in (range(2, 13, 2), range(3, 12, 2), range(18, 21)))
    model = fit(tmp_path, train, valid, components=2, anchors=3)
    perceptron = MLPRegressor(hidden_layer_sizes=(100, 100), max_iter=4000, random_state=0)
    perceptron.fit(model.find_components(train), train.y / train.y.std())
    learnt, curve = (
        rmse(train.y.std() * perceptron.predict(model.find_components(each)), each) for each in (train, beyond)
    )
    assert learnt < 0.1 * train.y.std()
    line, error = rmse(model.ridge.predict(beyond).mean, beyond), rmse(model.predict(beyond).mean, beyond)
    assert error < 0.3 * min(line, curve), (error, line, curve)
    assert error < 0.05 * beyond.y.mean()


def test_a_product_is_a_change_times_what_it_starts_from():
    rng = np.random.default_rng(0)
    anchor, end = rng.normal(size=(2, 200, 2))
    end[:, 1] = anchor[:, 1]  # one factor changes, the other stays
    columns, wanted = multiply(anchor, end), end.prod(axis=1) - anchor.prod(axis=1)
    np.testing.assert_allclose(columns @ [0, 0, 0, 1, 0, 0], wanted, atol=1e-12)
    assert not multiply(anchor, anchor).any()


def test_each_pair_is_there_in_both_directions():
    nearest = np.array([[0, 1], [1, 2], [2, 1]])
    anchors, ends = pair_up(nearest)
    assert list(zip(anchors.tolist(), ends.tolist(), strict=True)) == [
        *((0, 0), (1, 0), (1, 1), (2, 1), (2, 2), (1, 2)),
        *((0, 0), (0, 1), (1, 1), (1, 2), (2, 2), (2, 1)),
    ]


def test_components_are_those_of_partial_least_squares_with_unit_variance():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 10)) @ rng.normal(size=(10, 10))
    x -= x.mean(axis=0)
    y = x @ rng.normal(size=10) + rng.normal(size=80)
    z = x @ find_directions([x[:50], x[50:]], y, 4)
    np.testing.assert_allclose(z.T @ z / 80, np.eye(4), atol=1e-8)
    scores = PLSRegression(4, scale=False).fit(x, y).x_scores_
    for ours, theirs in zip(z.T, scores.T, strict=True):
        assert abs(np.corrcoef(ours, theirs)[0, 1]) == pytest.approx(1, abs=1e-8)


def test_there_are_no_more_components_than_the_columns_have():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(40, 3)) @ rng.normal(size=(3, 12))
    x -= x.mean(axis=0)
    assert find_directions([x], rng.normal(size=40), 8).shape == (12, 3)
    assert not find_directions([x], np.full(40, 2.0), 8).any()


def test_constant_labels_are_predicted(tmp_path):
    train, valid, test = task()
    same = [dataclasses.replace(each, y=np.full(len(each), -3.0)) for each in (train, valid)]
    np.testing.assert_allclose(fit(tmp_path, *same).predict(test).mean, -3)


def test_a_wild_molecule_changes_no_other_prediction(tmp_path):
    train, valid, test = task()
    model = fit(tmp_path, train, valid)
    smiles = [*test.smiles, "C" * 300 + "[Og]"]
    together = model.predict(molecules_of(smiles, np.full(len(smiles), np.nan)))
    assert np.isfinite(together.mean).all()
    alone = model.predict(test)
    np.testing.assert_allclose(together.mean[:-1], alone.mean, rtol=1e-10)
    np.testing.assert_allclose(together.std[:-1], alone.std, rtol=1e-8)


def test_two_fits_predict_the_same_bits(tmp_path):
    train, valid, test = task()
    first, again = (fit(tmp_path, train, valid).predict(test) for _ in range(2))
    assert first.mean.tobytes() == again.mean.tobytes()
    assert first.std.tobytes() == again.std.tobytes()


@pytest.mark.parametrize("kind", ["extensive", "intensive"])
def test_a_loaded_model_predicts_the_same(tmp_path, kind):
    train, valid, test = task()
    model = fit(tmp_path, train, valid, kind=kind)
    model.save(tmp_path)
    loaded = new(kind=kind)
    loaded.load(tmp_path)
    assert loaded.predict(test).mean.tobytes() == model.predict(test).mean.tobytes()
    assert loaded.predict(test).std.tobytes() == model.predict(test).std.tobytes()


def test_more_anchors_than_molecules_are_all_molecules(tmp_path):
    train, valid, test = task()
    model = fit(tmp_path, train, valid, anchors=1000)
    assert model.describe(test)[1].shape == (len(test), len(train))
    assert (model.predict(test).std > 0).all()
    assert (fit(tmp_path, train, valid, anchors=1).predict(test).std == 0).all()
