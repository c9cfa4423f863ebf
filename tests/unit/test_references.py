"""Ridge regressions as references of networks: what is left to learn, and what becomes of it."""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import make_molecules
from tiny import MODELS, small_descriptor

from boomlib import registry
from boomlib.declared import check_features
from boomlib.features import descriptors, elements, graph, morgan_counts
from boomlib.features.xtb import COLUMNS
from boomlib.files import ContractError
from boomlib.harness import references
from boomlib.harness.interface import Molecules, find_model_class
from boomlib.harness.references import RidgeReferences, make_references
from boomlib.harness.ridge import Rows, fit_ridge
from boomlib.models.tabular.ridge import Ridge

RIDGE = {"ridge": "ridge", "physics": "physics_ridge", "physics_embedded": "physics_ridge_embedded"}


@pytest.fixture(scope="module")
def task() -> tuple[Molecules, Molecules, Molecules]:
    """Train, valid and test molecules, with made-up columns of physics."""
    frame = make_molecules(90)
    smiles = frame["smiles"].tolist()
    tables = {
        module.__name__.rpartition(".")[2]: pa.table(module.compute(smiles))
        for module in (elements, descriptors, morgan_counts, graph)
    }
    drawn = np.random.default_rng(0).normal(size=(len(COLUMNS), 90)).astype(np.float32)
    physics = pa.table(dict(zip(COLUMNS, drawn, strict=True)) | {"note": pa.nulls(90, pa.string())})
    tables |= {"xtb": physics, "xtb_embedded": physics}
    everything = Molecules(np.arange(90), np.array(smiles, dtype=object), frame["size"].to_numpy(), tables)
    order = np.random.default_rng(3).permutation(90)
    return everything.take(order[:60]), everything.take(order[60:75]), everything.take(order[75:])


def fit_own(reference, kind, train, valid, folder) -> Ridge:
    """The registered model that a reference stands for."""
    model = Ridge(kind=kind, seed=0, **MODELS[RIDGE[reference]]["parameters"])
    model.fit(train, valid, folder)
    return model


# -- the regression --------------------------------------------------------------------------------------


def test_the_settings_are_those_of_the_registered_ridge_models():
    assert set(RIDGE) == set(references.PHYSICS)
    for reference, name in RIDGE.items():
        said = dict(MODELS[name]["parameters"])
        feature = said.pop("physics", None)
        assert feature == references.PHYSICS[reference]
        said.pop("volume", None)  # what is learnt is the network's own setting
        assert said == {
            "radius": references.RADIUS,
            "min_molecules": references.MIN_MOLECULES,
            "margin": references.MARGIN,
            "penalties": list(references.PENALTIES),
        }
        assert set(MODELS[name]["features"]) == {*references.FEATURES, *([feature] if feature else [])}


@pytest.mark.parametrize("kind", ["extensive", "intensive"])
@pytest.mark.parametrize("reference", RIDGE)
def test_the_reference_says_what_the_registered_model_predicts(task, tmp_path, reference, kind):
    train, valid, asked = task
    fitted, own = make_references(reference, kind), fit_own(reference, kind, train, valid, tmp_path)
    z = fitted.fit_transform(train, valid)
    assert fitted.predict(asked) == pytest.approx(own.predict(asked).mean, rel=1e-9)
    assert fitted.spread * z == pytest.approx(own.leave_one_out_residuals, rel=1e-6, abs=1e-9)
    assert fitted.transform(valid) == pytest.approx((valid.y - own.predict(valid).mean) / fitted.spread)
    assert np.std(z) == pytest.approx(1)
    assert fitted.inverse(asked, np.full(15, 2.0)) == pytest.approx(fitted.predict(asked) + 2 * fitted.spread)


@pytest.mark.parametrize("kind", ["extensive", "intensive"])
def test_a_molecule_of_train_has_the_residual_of_a_ridge_that_has_not_seen_it(task, kind):
    train, valid, _ = task
    fitted = RidgeReferences("physics", kind)
    z = fitted.fit_transform(train, valid)
    left, x = fitted.spread * z, fitted.design.transform(train)
    x_valid = fitted.design.transform(valid)
    penalty = fit_ridge(Rows([x]), train.y, Rows([x_valid]), valid.y, references.PENALTIES).penalty
    for row in (0, 17, 59):
        rest = np.arange(60) != row
        mean, level = x[rest].mean(axis=0), train.y[rest].mean()
        centred = x[rest] - mean
        gram = centred.T @ centred + penalty * np.eye(x.shape[1])
        weights = np.linalg.solve(gram, centred.T @ (train.y[rest] - level))
        assert left[row] == pytest.approx(train.y[row] - level - (x[row] - mean) @ weights, rel=1e-6)
    # what the fit itself leaves is less
    assert np.std(train.y - fitted.predict(train)) < 0.9 * fitted.spread


@pytest.mark.parametrize("reference", ["elements", "mean", "none", *RIDGE])
def test_what_is_saved_says_the_same_bits(task, tmp_path, reference):
    train, valid, asked = task
    fitted, fresh = make_references(reference, "extensive"), make_references(reference, "extensive")
    fitted.fit_transform(train, valid)
    fitted.save(tmp_path)
    fresh.load(tmp_path)
    z = np.linspace(-1, 1, 15)
    assert fresh.inverse(asked, z).tobytes() == fitted.inverse(asked, z).tobytes()


def spoil(molecules: Molecules) -> Molecules:
    """The same, with a first molecule whose descriptors and physics are wild."""
    features = dict(molecules.features)
    for name in ("descriptors", "xtb"):
        table = features[name]
        wild = {column: table[column].to_numpy().copy() for column in table.column_names if column != "note"}
        for column in wild.values():
            column[0] = 1e15
        features[name] = pa.table(wild)
    return dataclasses.replace(molecules, features=features)


def test_a_wild_molecule_stays_within_reach_and_changes_no_other(task):
    train, valid, asked = task
    fitted = make_references("physics", "extensive")
    fitted.fit_transform(train, valid)
    before, after = fitted.predict(asked), fitted.predict(spoil(asked))
    assert after[1:] == pytest.approx(before[1:], rel=1e-12)
    assert abs(after[0] - before[0]) > 1e-6
    assert np.abs(after[0] - train.y).min() < 20 * np.ptp(train.y)


# -- networks --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(task, tmp_path_factory):
    """A network on bonds, on ridge."""
    descriptor = small_descriptor("tgnn_small")
    parameters = descriptor["parameters"] | {"reference": "ridge"}
    model = find_model_class(descriptor["class"])(kind="extensive", seed=0, **parameters)
    model.unlabelled = task[2]
    model.folder = tmp_path_factory.mktemp("trained")
    model.fit(task[0], task[1], model.folder)
    return model


def test_a_prediction_is_the_ridges_and_what_the_network_adds(task, trained, tmp_path):
    own = fit_own("ridge", "extensive", *task[:2], tmp_path).predict(task[2]).mean
    z = trained.read(trained.network, trained.encode(task[2]))
    assert np.abs(z).max() > 1e-3
    assert trained.predict(task[2]).mean == pytest.approx(own + trained.references.spread * z)


def test_epochs_are_told_in_native_units(task, trained):
    epochs = pq.read_table(trained.folder / "epochs.parquet").to_pandas()
    history = np.genfromtxt(trained.folder / "history.csv", delimiter=",", names=True)
    kept = history["epoch"][np.argmin(history["valid_rmse"])]
    said = epochs.loc[epochs["epoch"] == kept, "y_pred"].to_numpy()
    assert said == pytest.approx(trained.predict(task[2]).mean, rel=1e-4, abs=1e-2)


def test_a_network_on_ridge_predicts_after_loading_what_it_did(task, trained, tmp_path):
    trained.save(tmp_path)
    descriptor = small_descriptor("tgnn_small")
    parameters = descriptor["parameters"] | {"reference": "ridge"}
    fresh = find_model_class(descriptor["class"])(kind="extensive", seed=0, **parameters)
    fresh.load(tmp_path)
    assert fresh.predict(task[2]).mean.tobytes() == trained.predict(task[2]).mean.tobytes()


def test_a_reference_whose_features_the_descriptor_lacks_is_refused():
    config = {"tasks": ["csd10k/hof"], "models": ["on"]}
    on = {"of": "tgnn", "label": "On", "features": ["elements", "graph", "descriptors"]}
    models = registry.with_variants(
        MODELS, config | {"variants": {"on": on | {"parameters": {"reference": "physics"}}}}
    )
    check_features(MODELS)
    with pytest.raises(ContractError) as error:
        check_features(models, ["on"], "own.yaml")
    assert str(error.value) == (
        "own.yaml: variants.on: `reference: physics` reads elements, descriptors, morgan_counts, xtb; write "
        "`features: [elements, graph, descriptors, morgan_counts, xtb]`"
    )


@pytest.mark.parametrize(
    ("of", "parameters", "lacking"),
    [
        (
            "ridge",
            {"physics": "xtb"},
            "`physics: xtb` reads xtb; write `features: .elements, descriptors, morgan_counts, xtb.`",
        ),
        (
            "ridge_boost",
            {"ridge": {"physics": "xtb_embedded"}},
            "reads xtb_embedded; write `features: .*, xtb_embedded.`",
        ),
        (
            "egnn_small",
            {"conformers": "embedded"},
            "`conformers: embedded` reads embedded; write `features: .*, embedded.`",
        ),
        (
            "nlmtp_small",
            {"encoder": {"additive": "physics"}},
            "`additive: physics` reads xtb; write `features: .elements, .*, xtb.`",
        ),
        (
            "nlmtp_small",
            {"encoder": {"site": True}},
            "`site: true` reads insertions; write `features: .*, insertions.`",
        ),
        ("nlmtp_small", {"encoder": {"context": "full"}}, "`context: full` reads maccs; write `features: .*, maccs.`"),
    ],
)
def test_a_model_must_have_the_features_that_its_hyper_parameters_name(of, parameters, lacking):
    variant = {"of": of, "label": "V", "parameters": parameters}
    models = registry.with_variants(MODELS, {"tasks": ["csd10k/hof"], "models": ["v"], "variants": {"v": variant}})
    with pytest.raises(ContractError, match=f"own.yaml: variants.v: .*{lacking}"):
        check_features(models, ["v"], "own.yaml")
