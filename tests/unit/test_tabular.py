import dataclasses
import functools
import itertools

import numpy as np
import pyarrow as pa
import pytest
import sklearn.linear_model
from conftest import make_molecules
from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from boomlib import registry
from boomlib.features import descriptors, elements, morgan_counts
from boomlib.harness import design
from boomlib.harness.design import Blocks, Environments, LinearDesign, Winsorized, find_moments, read_descriptors
from boomlib.harness.interface import Molecules
from boomlib.harness.ridge import HalfSparseRows, Rows, fit_ridge, fit_weighted_ridge
from boomlib.models.control.oracle import Oracle
from boomlib.models.control.shuffled import Shuffled
from boomlib.models.control.train_mean import TrainMean
from boomlib.models.tabular.gradient_boosting import GradientBoosting
from boomlib.models.tabular.mlp import MLP
from boomlib.models.tabular.random_forest import RandomForest
from boomlib.models.tabular.ridge import Ridge
from boomlib.models.tabular.ridge_boost import RidgeBoost
from boomlib.models.tabular.trees import Trees, find_unit

PENALTIES = [0.01, 0.1, 1, 10, 100]
RIDGE = {"radius": 1, "min_molecules": 2, "margin": 1.0, "penalties": PENALTIES}
COMMON = {"kind": "extensive", "seed": 0}


def molecules_of(smiles, y=None) -> Molecules:
    """Molecules with the three feature tables that the tabular models read."""
    y = np.zeros(len(smiles)) if y is None else np.asarray(y, dtype=float)
    tables = {
        module.__name__.rpartition(".")[2]: pa.table(module.compute(smiles))
        for module in (elements, descriptors, morgan_counts)
    }
    return Molecules(np.arange(len(smiles)), np.array(smiles, dtype=object), y, tables)


@functools.cache
def task() -> tuple[Molecules, Molecules, Molecules]:
    """Train, valid and test molecules with an additive property."""
    frame = make_molecules(90)
    everything = molecules_of(frame["smiles"].tolist(), frame["size"])
    order = np.random.default_rng(3).permutation(90)
    return everything.take(order[:60]), everything.take(order[60:75]), everything.take(order[75:])


def rmse(prediction, y):
    return float(np.sqrt(np.mean((prediction - y) ** 2)))


@pytest.fixture(autouse=True)
def one_thread():
    """What the jobs of the workflow do; many threads on small matrices only wait for each other."""
    with threadpool_limits(1):
        yield


@pytest.fixture
def fitted(tmp_path):
    """Fit a model to the task's train and valid; returns the model."""

    def fit(model):
        train, valid, _ = task()
        model.fit(train, valid, tmp_path)
        return model

    return fit


def relabel(molecules: Molecules, y) -> Molecules:
    return dataclasses.replace(molecules, y=np.asarray(y, dtype=float))


def radius_0(smiles: str) -> dict[int, int]:
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=0)
    return generator.GetSparseCountFingerprint(Chem.MolFromSmiles(smiles)).GetNonzeroElements()


def test_vocabulary_holds_what_enough_molecules_of_train_show():
    train = molecules_of(["CC", "CCC", "CCCC", "CCO", "C"])
    (methyl,), (methane,) = radius_0("CC"), radius_0("C")
    (methylene,) = set(radius_0("CCC")) - {methyl}
    (hydroxyl,) = set(radius_0("CCO")) - {methyl, methylene}
    for least, expected in (
        (1, {methyl, methylene, hydroxyl, methane}),
        (2, {methyl, methylene}),
        (4, {methyl}),
        (5, set()),
    ):
        assert set(Environments(0, least).fit(train).vocabulary.tolist()) == expected


def test_environments_are_counted_and_unknown_ones_left_out():
    environments = Environments(0, 1).fit(molecules_of(["CC", "CCC"]))
    (methyl,) = radius_0("CC")
    counts = environments.transform(molecules_of(["CCCC", "CCO", "[He]", "CC.CC", "c1ccccc1"]))
    methyl_column = environments.vocabulary.tolist().index(methyl)
    assert counts[:, methyl_column].tolist() == [2, 1, 0, 4, 0]
    assert counts[:, 1 - methyl_column].tolist() == [2, 1, 0, 0, 0]


def test_an_environment_beyond_the_radius_is_left_out():
    molecules = molecules_of(["CCCC"])
    # butane has 2 kinds of atoms, 2 kinds of groups and 1 larger environment
    assert [len(Environments(radius, 1).fit(molecules).vocabulary) for radius in (0, 1, 2)] == [2, 4, 5]


def test_environments_of_taken_molecules_stay_with_their_molecules():
    molecules = molecules_of(["CC", "CCO", "c1ccccc1", "C#N", "CCC"])
    environments = Environments(2, 1).fit(molecules)
    everything = environments.transform(molecules)
    for rows in ([4, 0, 2], [3], [1, 1, 3]):
        assert np.array_equal(environments.transform(molecules.take(np.array(rows))), everything[rows])
    keep = np.array([True, False, False, True, False])
    assert np.array_equal(environments.transform(molecules.take(keep)), everything[[0, 3]])


TRAIN_VALUES = np.array([[0.0, 5.0, 1.0, np.nan], [2.0, 5.0, np.nan, np.nan], [10.0, 5.0, 3.0, np.nan]])


@pytest.mark.parametrize(
    ("margin", "low", "high"), [(0.0, [0, 1], [10, 3]), (1.0, [-10, -1], [20, 5]), (0.5, [-5, 0], [15, 4])]
)
def test_values_are_clipped_to_trains_range_and_its_margin(margin, low, high):
    winsorized = Winsorized(margin).fit(TRAIN_VALUES)
    values = np.array([[-1e9, 7.0, -1e9, 1.0], [1e9, 5.0, 1e9, np.nan], [4.0, 5.0, 2.0, 0.0]])
    assert winsorized.transform(values).tolist() == [low, high, [4.0, 2.0]]


def test_gaps_become_trains_median_and_constant_columns_go():
    winsorized = Winsorized(0.0).fit(TRAIN_VALUES)
    assert winsorized.columns.tolist() == [0, 2]
    assert winsorized.transform(np.full((1, 4), np.nan)).tolist() == [[2.0, 2.0]]


def with_descriptor(molecules: Molecules, name: str, values) -> Molecules:
    table = molecules.features["descriptors"]
    table = table.set_column(table.column_names.index(name), name, pa.array(values, pa.float64()))
    return dataclasses.replace(molecules, features=molecules.features | {"descriptors": table})


def test_infinite_descriptors_are_gaps_and_ipc_enters_as_its_logarithm():
    molecules = molecules_of(["CCO", "CC", "C"])
    names = molecules.features["descriptors"].column_names
    changed = with_descriptor(molecules, "MolWt", [np.inf, -np.inf, 3.0])
    changed = with_descriptor(changed, "Ipc", [0.0, np.e - 1, np.inf])
    values = read_descriptors(changed)
    assert np.array_equal(values[:, names.index("MolWt")], [np.nan, np.nan, 3.0], equal_nan=True)
    assert values[:2, names.index("Ipc")] == pytest.approx([0.0, 1.0])
    assert np.isnan(values[2, names.index("Ipc")])
    assert changed.features["descriptors"]["Ipc"][0].as_py() == 0.0


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300, -1e300])
def test_one_wild_descriptor_does_not_spoil_a_prediction(fitted, value):
    train, _, test = task()
    ridge = Ridge(**RIDGE, **COMMON)
    wild = with_descriptor(test, "MolLogP", np.full(len(test), value))
    predicted = fitted(ridge).predict(wild).mean
    assert np.abs(predicted - test.y).max() < 4 * np.ptp(train.y)


DOUBLED = ["CCO", "c1ccccc1C#N", "CC(=O)OC", "FC(F)(F)CCN"]


def test_an_intensive_prediction_does_not_change_when_the_molecule_is_doubled(fitted):
    ridge = fitted(Ridge(**(RIDGE | {"margin": None}), kind="intensive", seed=0))
    single = ridge.predict(molecules_of(DOUBLED)).mean
    double = ridge.predict(molecules_of([f"{smiles}.{smiles}" for smiles in DOUBLED])).mean
    np.testing.assert_allclose(double, single, rtol=1e-9)
    assert np.ptp(single) > 1


def test_an_extensive_prediction_is_a_sum_over_molecules(fitted):
    ridge = fitted(Ridge(**(RIDGE | {"margin": None}), **COMMON))
    pairs = [f"{one}.{other}" for one, other in itertools.pairwise(DOUBLED)]
    # a linear model of counts alone: f(A.B) = f(A) + f(B) - f(nothing), and nothing is 2 f(A) - f(A.A) for every A
    single = ridge.predict(molecules_of(DOUBLED)).mean
    double = ridge.predict(molecules_of([f"{smiles}.{smiles}" for smiles in DOUBLED])).mean
    nothing = 2 * single - double
    np.testing.assert_allclose(nothing, nothing[0], rtol=0, atol=1e-8)
    joined = ridge.predict(molecules_of(pairs)).mean
    np.testing.assert_allclose(joined, single[:-1] + single[1:] - nothing[0], rtol=1e-9)


@pytest.mark.parametrize("kind", ["extensive", "intensive"])
@pytest.mark.parametrize("margin", [None, 1.0])
def test_the_design_is_centred_on_train_and_scaled_but_for_environments(kind, margin):
    train, _, test = task()
    design = LinearDesign(kind, 1, 2, margin).fit(train)
    columns = design.transform(train)
    assert np.abs(columns.mean(axis=0)).max() < 1e-9
    deviation = columns.std(axis=0)
    dense = len(deviation) - design.varies[-len(design.environments.vocabulary) :].sum()
    np.testing.assert_allclose(deviation[:dense], 1.0)
    assert deviation.min() > 0
    if kind == "extensive":
        counts = design.environments.transform(train)
        kept = design.varies[-counts.shape[1] :]
        np.testing.assert_allclose(columns[:, dense:], (counts - counts.mean(axis=0))[:, kept])
    assert np.isfinite(design.transform(test)).all()


def test_ridge_has_scikit_learns_weights_and_the_best_penalty_on_valid(tmp_path, fitted):
    train, valid, _ = task()
    ridge = fitted(Ridge(**RIDGE, **COMMON))
    x, x_valid = ridge.design.transform(train), ridge.design.transform(valid)
    found = {}
    for penalty in PENALTIES:
        theirs = sklearn.linear_model.Ridge(alpha=penalty, solver="svd").fit(x, train.y)
        found[penalty] = rmse(theirs.predict(x_valid), valid.y)
        if penalty == ridge.penalty:
            np.testing.assert_allclose(ridge.weights, theirs.coef_, rtol=1e-6, atol=1e-8)
            assert ridge.intercept == pytest.approx(theirs.intercept_)
    assert ridge.penalty == min(found, key=found.get)
    history = np.loadtxt(tmp_path / "history.csv", delimiter=",", skiprows=1)
    np.testing.assert_allclose(history, list(found.items()), rtol=1e-6)


def test_leave_one_out_residuals_are_those_of_refits(fitted):
    train, _, _ = task()
    ridge = fitted(Ridge(**RIDGE, **COMMON))
    x = ridge.design.transform(train)
    for left in range(0, len(train), 7):
        rest = np.arange(len(train)) != left
        theirs = sklearn.linear_model.Ridge(alpha=ridge.penalty, solver="svd").fit(x[rest], train.y[rest])
        residual = train.y[left] - theirs.predict(x[left : left + 1])[0]
        assert ridge.leave_one_out_residuals[left] == pytest.approx(residual, rel=1e-6)


@pytest.mark.parametrize("kind", ["extensive", "intensive"])
@pytest.mark.parametrize("margin", [None, 1.0])
def test_blocks_and_sparse_columns_make_the_same_ridge(kind, margin, monkeypatch):
    monkeypatch.setattr(design, "ROWS", 7)
    train, valid, _ = task()
    columns = LinearDesign(kind, 1, 2, margin).fit(train)
    whole = fit_ridge(Rows([columns.transform(train)]), train.y, Rows([columns.transform(valid)]), valid.y, PENALTIES)
    for way, make in ((Rows, columns.transform), (HalfSparseRows, columns.halves)):
        x, x_valid = (way(Blocks(each, make)) for each in (train, valid))
        blocks = fit_ridge(x, train.y, x_valid, valid.y, PENALTIES)
        assert blocks.penalty == whole.penalty
        assert blocks.weights == pytest.approx(whole.weights, rel=1e-7, abs=1e-9)
        assert blocks.leave_one_out == pytest.approx(whole.leave_one_out, rel=1e-7, abs=1e-9)
        assert np.array(blocks.history) == pytest.approx(np.array(whole.history), rel=1e-7)


def test_moments_of_blocks_are_those_of_the_whole_to_the_last_bit(monkeypatch):
    monkeypatch.setattr(design, "ROWS", 7)
    train = task()[0]
    mean, deviation = find_moments(Blocks(train, lambda some: np.nan_to_num(read_descriptors(some))))
    whole = np.nan_to_num(read_descriptors(train))
    assert np.array_equal(mean, whole.mean(axis=0))
    assert np.array_equal(deviation, whole.std(axis=0))


def test_ridge_recovers_an_additive_property_outside_its_range(tmp_path):
    train, valid, _ = task()
    exact = [
        relabel(each, [3 * Chem.MolFromSmiles(s).GetNumAtoms() - 7 for s in each.smiles]) for each in (train, valid)
    ]
    ridge = Ridge(radius=1, min_molecules=2, margin=None, penalties=[1e-9], **COMMON)
    ridge.fit(*exact, tmp_path)
    far = ["C" * 60, "O" + "C" * 100]
    assert ridge.predict(molecules_of(far)).mean == pytest.approx([3 * 60 - 7, 3 * 101 - 7], rel=1e-5)


TREES = {"max_iter": 15, "min_samples_leaf": 5, "learning_rate": 0.1}


def test_ridge_boost_adds_trees_on_what_the_ridge_leaves_out(tmp_path, fitted):
    train, valid, test = task()
    both = fitted(RidgeBoost(ridge=RIDGE, trees=TREES, **COMMON))
    ridge = fitted(Ridge(**RIDGE, **COMMON))
    alone = GradientBoosting(**TREES, **COMMON)
    left_out = relabel(train, ridge.leave_one_out_residuals)
    alone.fit(left_out, relabel(valid, valid.y - ridge.predict(valid).mean), tmp_path)
    np.testing.assert_allclose(both.predict(test).mean, ridge.predict(test).mean + alone.predict(test).mean)
    assert np.ptp(alone.predict(test).mean) > 0


def test_gradient_boosting_stops_when_valid_stops_improving(tmp_path):
    train, valid, _ = task()
    shuffled = relabel(valid, np.random.default_rng(0).permutation(valid.y))
    patient = GradientBoosting(max_iter=60, n_iter_no_change=3, min_samples_leaf=5, **COMMON)
    patient.fit(train, shuffled, tmp_path)
    assert patient.trees.estimator.n_iter_ < 60
    assert len(patient.trees.estimator.validation_score_) == patient.trees.estimator.n_iter_ + 1


def test_the_controls_predict_trains_mean_and_labels_drawn_from_train(fitted):
    train, _, test = task()
    mean = fitted(TrainMean(**COMMON)).predict(test).mean
    assert mean == pytest.approx(np.full(len(test), sum(train.y) / 60))
    drawn = fitted(Shuffled(**COMMON)).predict(test).mean
    assert set(drawn) <= set(train.y)
    assert len(set(drawn)) > 8
    other = fitted(Shuffled(kind="extensive", seed=1)).predict(test).mean
    assert not np.array_equal(drawn, other)


def test_the_oracle_predicts_the_labels_and_refuses_molecules_without():
    _, _, test = task()
    assert np.array_equal(Oracle(**COMMON).predict(test).mean, test.y)
    with pytest.raises(ValueError, match="sees_truth"):
        Oracle(**COMMON).predict(relabel(test, np.where(test.y < -60, test.y, np.nan)))


DROPPED = ["Chi0v", "Chi1v", "Chi2v", "Chi3v", "Chi4v", "MaxAbsEStateIndex", "ExactMolWt", "NumHeteroatoms"]


def test_random_forest_leaves_out_the_descriptors_that_boom_drops(fitted):
    parameters = registry.load_models()["random_forest"]["parameters"]
    assert parameters["drop"] == DROPPED
    assert (parameters["trees"], parameters["max_features"]) == (500, "sqrt")
    train, _, test = task()
    forest = fitted(RandomForest(**(parameters | {"trees": 8}), **COMMON))
    names = train.features["descriptors"].column_names
    values = read_descriptors(train)
    used = [i for i, name in enumerate(names) if name not in DROPPED and len(set(values[:, i].tolist())) > 1]
    assert forest.forest.estimator.n_features_in_ == len(used)
    before = forest.predict(test).mean
    for name in DROPPED:
        assert np.array_equal(forest.predict(with_descriptor(test, name, np.full(len(test), 1e6))).mean, before)
    important = names[used[np.argmax(forest.forest.estimator.feature_importances_)]]
    assert not np.array_equal(forest.predict(with_descriptor(test, important, np.full(len(test), 1e6))).mean, before)


def test_random_forest_does_not_depend_on_threads_and_stays_within_trains_labels(fitted):
    train, _, test = task()
    one, two = (
        fitted(RandomForest(drop=[], trees=20, max_features="sqrt", threads=threads, **COMMON)).predict(test).mean
        for threads in (1, 2)
    )
    assert np.array_equal(one, two)
    assert train.y.min() <= one.min()
    assert one.max() <= train.y.max()


@pytest.mark.parametrize("unit", [2.0**-13, 2.0**-30, 2.0**-90, 2.0**60])
@pytest.mark.parametrize(
    "make",
    [
        functools.partial(GradientBoosting, max_iter=200, n_iter_no_change=5, min_samples_leaf=5, **COMMON),
        functools.partial(RidgeBoost, ridge=RIDGE, trees=TREES | {"max_iter": 200}, **COMMON),
        functools.partial(RandomForest, drop=[], trees=20, max_features="sqrt", **COMMON),
    ],
    ids=["boosting", "behind a ridge", "forest"],
)
def test_trees_learn_labels_of_any_unit_alike(tmp_path, fitted, make, unit):
    train, valid, test = task()
    other = make()
    other.fit(relabel(train, train.y * unit), relabel(valid, valid.y * unit), tmp_path)
    np.testing.assert_allclose(other.predict(test).mean / unit, fitted(make()).predict(test).mean, rtol=1e-12)


@pytest.mark.parametrize(
    ("spread", "unit"), [(24.6, 1), (0.0221, 1), (0.0101, 1), (0.0099, 2.0**-7), (4e-30, 2.0**-98), (0, 1)]
)
def test_labels_that_differ_enough_are_counted_as_they_are(spread, unit):
    """Those of BOOM's tasks do, the least HOMO energies in Ha, whose numbers stay what they are to the bit."""
    y = 5 * spread + spread * np.array([-1.0, 1.0])
    assert find_unit(y) == unit


def test_boosted_trees_say_nothing_beyond_what_they_have_been_shown():
    """Of two properties train has either, but not both: sums of trees with one question each would add them up."""
    x = np.repeat([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], 50, axis=0)
    y = x.sum(axis=1)
    estimator = HistGradientBoostingRegressor(max_leaf_nodes=2, early_stopping=False, max_iter=200)
    trees = Trees(estimator)
    trees.fit(x, y, find_unit(y))
    assert trees.predict(x) == pytest.approx(y, abs=0.01)
    corner = np.array([[1.0, 1.0]])
    assert estimator.predict(corner) > 1.5
    assert trees.predict(corner) == 1


NETWORK = {"hidden": [16], "learning_rate": 0.02, "batch": 20, "weight_decay": 1e-4, "margin": 0.0}


def history_of(folder):
    return np.loadtxt(folder / "history.csv", delimiter=",", skiprows=1, ndmin=2)


def test_mlp_keeps_the_best_epoch_on_valid(tmp_path):
    train, valid, test = task()
    network = MLP(epochs=60, patience=10, **NETWORK, **COMMON)
    network.fit(train, valid, tmp_path)
    history = history_of(tmp_path)
    best = int(np.argmin(history[:, 2])) + 1
    assert best < len(history), "the best epoch is not the last, or this test shows nothing"
    assert rmse(network.predict(valid).mean, valid.y) == pytest.approx(history[best - 1, 2], rel=1e-12)
    assert len(history) == min(60, best + 10), "it stops after as many epochs without a better one"

    short = MLP(epochs=best, patience=10, **NETWORK, **COMMON)
    short.fit(train, valid, tmp_path)
    assert np.array_equal(short.predict(test).mean, network.predict(test).mean)


def test_mlp_takes_a_batch_larger_than_train(tmp_path):
    train, valid, _ = task()
    MLP(epochs=2, patience=10, **(NETWORK | {"batch": 200}), **COMMON).fit(train, valid, tmp_path)
    assert len(history_of(tmp_path)) == 2


def test_mlp_shuffles_its_batches_anew_in_every_epoch(tmp_path, monkeypatch):
    orders, shuffle = [], sklearn.utils.shuffle
    monkeypatch.setattr(
        "sklearn.neural_network._multilayer_perceptron.shuffle",
        lambda rows, random_state: orders.append(shuffle(rows, random_state=random_state)) or orders[-1],
    )
    train, valid, _ = task()
    MLP(epochs=4, patience=10, **NETWORK, **COMMON).fit(train, valid, tmp_path)
    assert len({tuple(order.tolist()) for order in orders}) == 4


@pytest.mark.parametrize("scale", [1.0, 1e-6])
def test_a_weighted_ridge_is_that_of_scikit_learn_and_its_residuals_leave_one_out(scale):
    rng = np.random.default_rng(0)
    x, y, weights = rng.normal(size=(30, 4)) + 5, rng.normal(size=30), scale * rng.uniform(0.1, 3, 30)
    train, valid = slice(0, 20), slice(20, 30)

    def refit(rows, penalty):
        model = sklearn.linear_model.Ridge(alpha=penalty * weights[train].mean(), solver="cholesky", tol=0)
        return model.fit(x[rows], y[rows], sample_weight=weights[rows])

    penalties = [0.1, 1.0, 30.0]
    fitted = fit_weighted_ridge(x[train], y[train], weights[train], x[valid], y[valid], weights[valid], penalties)
    errors = [
        np.sum(weights[valid] * (refit(np.arange(20), each).predict(x[valid]) - y[valid]) ** 2) for each in penalties
    ]
    assert fitted.penalty == penalties[int(np.argmin(errors))]
    expected = refit(np.arange(20), fitted.penalty)
    np.testing.assert_allclose(fitted.weights, expected.coef_, rtol=1e-8)
    assert fitted.intercept == pytest.approx(expected.intercept_)
    for left_out in range(20):
        others = np.delete(np.arange(20), left_out)
        said = refit(others, fitted.penalty).predict(x[[left_out]])[0]
        assert fitted.leave_one_out[left_out] == pytest.approx(y[left_out] - said)


def test_equal_weights_change_nothing():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 4)), rng.normal(size=30)
    x -= x[:20].mean(axis=0)
    plain = fit_ridge(Rows([x[:20]]), y[:20], Rows([x[20:]]), y[20:], [0.1, 1.0])
    weighted = fit_weighted_ridge(x[:20], y[:20], np.full(20, 7.0), x[20:], y[20:], np.full(10, 7.0), [0.1, 1.0])
    np.testing.assert_allclose(weighted.weights, plain.weights)
    np.testing.assert_allclose(weighted.leave_one_out, plain.leave_one_out)
    assert weighted.penalty == plain.penalty
