"""What every registered model must do; a new descriptor in config/models is covered without a change here."""

import contextlib
import dataclasses
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from conftest import make_molecules
from scipy.spatial.transform import Rotation
from threadpoolctl import threadpool_limits

from boomlib import contracts, registry
from boomlib.featurize import compute_feature
from boomlib.files import ContractError
from boomlib.harness.interface import Model, Molecules, PolicyModel, find_model_class
from boomlib.harness.job import Job, read_task, train_and_predict
from boomlib.harness.training import History

MODELS = registry.load_models()
# hyper-parameters of any model, at any depth of its descriptor, that are made smaller to keep these tests fast
SMALL = {
    "trees": 20,
    "epochs": 5,
    "max_iter": 20,
    "min_samples_leaf": 2,
    "hidden": [16],
    "penalties": [0.1, 1, 10],
    "width": 16,
    "heads": 2,
    "depth": 4,
    "message_hidden_dim": 16,
    "ffn_hidden_dim": 16,
    "fast_layers": [1, 3],
    "basis": 8,
    "num_channels": 4,
    "max_L": 0,
    "max_ell": 1,
    "max_num_epochs": 5,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "d_model": 16,
    "n_layer": 2,
    "n_head": 2,
    "d_inner": 16,
}
FOLDS = ["train"] * 14 + ["valid"] * 4 + ["id"] * 3 + ["ood"] * 3
PROPERTY = "size"


def shrink(parameters: dict) -> dict:
    """The parameters with those of :data:`SMALL`, where they have the same type."""
    return {
        key: shrink(value)
        if isinstance(value, dict)
        else SMALL[key]
        if key in SMALL and isinstance(value, type(SMALL[key]))
        else value
        for key, value in parameters.items()
    }


@pytest.fixture(params=MODELS)
def descriptor(request) -> dict:
    """One registered model, made small."""
    entry = MODELS[request.param]
    return entry | {"parameters": shrink(entry["parameters"])}


@pytest.fixture(autouse=True)
def one_thread():
    """What the jobs of the workflow do; many threads on small matrices only wait for each other."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="session")
def benchmark(tmp_path_factory):
    """A folder with the molecules table, the blinded task table and every feature that some model reads."""
    folder = tmp_path_factory.mktemp("contract")
    frame = make_molecules(len(FOLDS))
    smiles, values = frame["smiles"].tolist(), frame[PROPERTY].to_numpy()
    contracts.write_molecules(folder / "molecules.parquet", smiles, {PROPERTY: values}, {PROPERTY: "kcal/mol"})
    fold = np.random.default_rng(1).permutation(FOLDS)
    task = {
        "molecule_id": np.arange(len(FOLDS)),
        "smiles": smiles,
        "fold": contracts.fold_array(fold),
        "y": pa.array(values, mask=np.isin(fold, ("id", "ood"))),
    }
    contracts.write_table(pa.table(task), folder / "task.parquet", contracts.TASK)
    for feature in {feature for model in MODELS.values() for feature in model["features"]}:
        compute_feature(feature, folder / "molecules.parquet", folder / f"{feature}.parquet")
    return folder


def feature_files(descriptor, benchmark) -> dict:
    return {name: benchmark / f"{name}.parquet" for name in descriptor["features"]}


@pytest.fixture
def data(descriptor, benchmark) -> tuple[Molecules, Molecules, Molecules]:
    """Train, valid and the molecules to predict, as the model gets them."""
    truth = pq.read_table(benchmark / "molecules.parquet")[PROPERTY].to_numpy() if descriptor["sees_truth"] else None
    molecules, fold = read_task(benchmark / "task.parquet", feature_files(descriptor, benchmark), truth)
    return tuple(
        molecules.take(rows) for rows in (fold == "train", fold == "valid", np.isin(fold, contracts.PREDICTED_FOLDS))
    )


def new_model(descriptor, kind="extensive", seed=0) -> Model:
    return find_model_class(descriptor["class"])(kind=kind, seed=seed, **descriptor["parameters"])


def fit(descriptor, data, folder, **arguments) -> Model:
    folder.mkdir(exist_ok=True)
    model = new_model(descriptor, **arguments)
    model.fit(data[0], data[1], folder)
    return model


@pytest.mark.parametrize("kind", ["extensive", "intensive"])
def test_predictions_are_finite_and_one_a_molecule(descriptor, data, tmp_path, kind):
    prediction = fit(descriptor, data, tmp_path, kind=kind).predict(data[2])
    assert prediction.mean.shape == (10,)
    assert prediction.mean.dtype == np.float64
    assert np.isfinite(prediction.mean).all()
    if prediction.std is not None:
        assert prediction.std.shape == (10,)
        assert (prediction.std >= 0).all()


def test_a_descriptor_says_whether_its_model_answers_a_policy(descriptor):
    assert issubclass(find_model_class(descriptor["class"]), PolicyModel) == descriptor["answers_policy"]


def test_one_seed_gives_the_same_bits_twice(descriptor, data, tmp_path):
    first, second = (fit(descriptor, data, tmp_path / name, seed=7).predict(data[2]).mean for name in "ab")
    assert first.tobytes() == second.tobytes()


def test_a_loaded_model_predicts_what_the_saved_one_did(descriptor, data, tmp_path):
    model = fit(descriptor, data, tmp_path / "fit")
    expected = model.predict(data[2]).mean
    (tmp_path / "saved").mkdir()
    model.save(tmp_path / "saved")
    fresh = new_model(descriptor)
    fresh.load(tmp_path / "saved")
    assert fresh.predict(data[2]).mean.tobytes() == expected.tobytes()


def test_a_prediction_does_not_depend_on_the_other_molecules_or_their_order(descriptor, data, tmp_path):
    model = fit(descriptor, data, tmp_path)
    together = model.predict(data[2]).mean
    order = np.random.default_rng(2).permutation(len(together))
    np.testing.assert_allclose(model.predict(data[2].take(order)).mean, together[order], rtol=1e-9)
    for some in (np.array([3]), np.array([8, 1, 5])):
        np.testing.assert_allclose(model.predict(data[2].take(some)).mean, together[some], rtol=1e-9)


def test_a_prediction_does_not_depend_on_molecule_id(descriptor, data, tmp_path):
    model = fit(descriptor, data, tmp_path / "a")
    expected = model.predict(data[2]).mean
    renumbered = [dataclasses.replace(each, molecule_id=each.molecule_id[::-1].copy()) for each in data]
    other = fit(descriptor, renumbered, tmp_path / "b")
    assert other.predict(renumbered[2]).mean.tobytes() == expected.tobytes()
    # those of train, so that what is remembered by id would be found
    for ids in (data[0].molecule_id[:10], data[2].molecule_id + 1000):
        renamed = dataclasses.replace(data[2], molecule_id=ids)
        assert model.predict(renamed).mean.tobytes() == expected.tobytes()


def with_atoms(molecules: Molecules, change) -> Molecules:
    """Molecules whose atoms ``change`` lists anew and moves, in all features that have any.

    Args:
        molecules: with ``graph``, ``conformers`` or both.
        change: number of atoms, positions (Å [n, 3]) -> which old atom each new one is, new positions of the old ones.
    """
    features = dict(molecules.features)
    tables = {name: features[name].to_pylist() for name in ("graph", "conformers") if name in features}
    for rows in zip(*tables.values(), strict=True):
        (atoms,) = {len(row["atomic_numbers"]) for row in rows}
        for row in rows:
            order, positions = change(atoms, np.reshape(row.get("positions", np.zeros(3 * atoms)), (-1, 3)))
            for column in ("atomic_numbers", "formal_charges"):
                if column in row:
                    row[column] = np.array(row[column])[order]
            if "positions" in row:
                row["positions"] = positions[order].ravel()
            if "bonds" in row:
                row["bonds"] = np.argsort(order)[np.array(row["bonds"], dtype=int)]
    for name, rows in tables.items():
        features[name] = pa.Table.from_pylist(rows, schema=features[name].schema)
    return Molecules(molecules.molecule_id, molecules.smiles, molecules.y, features)


ROTATION = Rotation.from_euler("xyz", [40, 100, -20], degrees=True).as_matrix()
CHANGES = {
    "rotation": lambda n, positions: (np.arange(n), positions @ ROTATION.T),
    "translation": lambda n, positions: (np.arange(n), positions + np.array([7.0, -30.0, 2.0])),
    "reflection": lambda n, positions: (np.arange(n), positions * np.array([1, 1, -1])),
    "order of atoms": lambda n, positions: (np.random.default_rng(n).permutation(n), positions),
}


def test_a_prediction_does_not_change_when_a_molecule_moves_or_its_atoms_are_listed_anew(descriptor, data, tmp_path):
    if not {"graph", "conformers"} & set(descriptor["features"]):
        pytest.skip("the model sees no atoms in an order and no positions")
    model = fit(descriptor, data, tmp_path)

    def difference(change) -> float:
        return np.abs(model.predict(with_atoms(data[2], change)).mean / model.predict(data[2]).mean - 1).max()

    # five epochs teach a network little, so that what it sees must also hold beside what it does not see
    seen = difference(lambda n, positions: (np.arange(n), 1.2 * positions))
    assert (seen > 1e-7) == ("conformers" in descriptor["features"])
    differences = {name: difference(change) for name, change in CHANGES.items()}
    assert max(differences.values()) < (1e-3 * seen if seen else 1e-9), differences


def test_prediction_leaves_the_molecules_as_they_were(descriptor, data, tmp_path):
    before = [(each.y.copy(), dict(each.features)) for each in data]
    fit(descriptor, data, tmp_path).predict(data[2])
    for (y, features), each in zip(before, data, strict=True):
        assert np.array_equal(each.y, y, equal_nan=True)
        assert all(each.features[name] is table for name, table in features.items())


@pytest.fixture
def job(descriptor, benchmark, tmp_path):
    """Run a model's training job; returns what it wrote, as paths."""

    def run(**changes):
        arguments = {
            "task": benchmark / "task.parquet",
            "features": feature_files(descriptor, benchmark),
            "predictions": tmp_path / "seed3.parquet",
            "run": tmp_path / "seed3/run.json",
            "model": {key: descriptor[key] for key in ("class", "parameters")},
            "kind": "extensive",
            "property": PROPERTY,
            "seed": 3,
            "truth": benchmark / "molecules.parquet" if descriptor["sees_truth"] else None,
            "log": "logs/train.log",
        } | changes
        train_and_predict(Job(**arguments))

    run.predictions, run.folder = tmp_path / "seed3.parquet", tmp_path / "seed3"
    return run


def task_fold(benchmark) -> np.ndarray:
    return contracts.read_table(benchmark / "task.parquet")["fold"].to_numpy().astype(str)


def test_a_job_writes_valid_predictions_and_what_made_them(descriptor, benchmark, job):
    job()
    table = contracts.read_predictions(job.predictions, task_fold(benchmark))
    assert table.num_rows == 10
    record = json.loads((job.folder / "run.json").read_text())
    assert record["seconds"] >= 0
    assert record["resumed"] is False
    assert record["commit"]
    assert {"python", "numpy", "pyarrow"} <= set(record["versions"])
    assert record["molecules"] == {"train": 14, "valid": 4, "id": 3, "ood": 3}
    assert (record["property"], record["seed"]) == (PROPERTY, 3)
    assert record["model"] == {key: descriptor[key] for key in ("class", "parameters")}
    assert record["device"].startswith("CPU (")
    assert record["prediction_device"].startswith("CPU (")
    assert record["peak_gpu_memory_mib"] is None
    assert not (job.folder / "failure.json").exists()


def test_a_job_gives_the_same_bytes_twice(job, tmp_path):
    job()
    job(predictions=tmp_path / "again.parquet", run=tmp_path / "again/run.json")
    assert job.predictions.read_bytes() == (tmp_path / "again.parquet").read_bytes()


def test_an_interrupted_training_goes_on_in_a_moved_folder_to_the_same_bytes(job, tmp_path, monkeypatch):
    job(keep_model=True)
    expected = {
        path.name: path.read_bytes()
        for path in job.folder.iterdir()
        if path.name in ("history.csv", "weights.safetensors")
    }
    finish, started = History.on_train_epoch_end, []

    def stop(self, trainer, module):
        started.append(trainer.current_epoch)
        if started == [0, 1, 2]:
            raise InterruptedError
        finish(self, trainer, module)

    monkeypatch.setattr(History, "on_train_epoch_end", stop)
    again = tmp_path / "again"
    with contextlib.suppress(InterruptedError):
        job(predictions=tmp_path / "again.parquet", run=again / "run.json", keep_model=True)
    if not started:
        pytest.skip("the model has no epochs of ours to resume")
    assert not (tmp_path / "again.parquet").exists()
    again = again.rename(tmp_path / "moved")  # as by `mv` of a checkout
    job(predictions=tmp_path / "again.parquet", run=again / "run.json", keep_model=True)
    assert started == [0, 1, 2, 2, 3, 4]
    assert (tmp_path / "again.parquet").read_bytes() == job.predictions.read_bytes()
    assert json.loads((again / "run.json").read_text())["resumed"] is True
    assert {name: (again / name).read_bytes() for name in expected} == expected
    assert not (again / "state").exists()


def test_a_pickle_in_place_of_a_state_is_refused_and_not_opened(descriptor, data, tmp_path):
    opened = tmp_path / "opened"

    class Trap:
        def __reduce__(self):
            return opened.touch, ()

    (tmp_path / "state").mkdir()
    for name in ("last.ckpt", "last.pt"):
        torch.save({"epoch": 1, "state_dict": Trap()}, tmp_path / "state" / name)
    if descriptor["class"].startswith(("control.", "tabular.")):  # without a state to go on from
        fit(descriptor, data, tmp_path)
    else:
        with pytest.raises(ContractError, match=r"state/last\.(ckpt|pt): .* no other pickle .* run again"):
            fit(descriptor, data, tmp_path)
    assert not opened.exists()


def test_checkpoints_of_other_settings_are_not_continued(descriptor, job, tmp_path):
    folder = job.folder
    (folder / "state").mkdir(parents=True)
    (folder / "state/last.ckpt").write_bytes(b"of another run")
    (folder / "state/identity").write_text("other settings")
    job()
    assert job.predictions.exists()
    assert not (folder / "state").exists()


def test_a_kept_model_can_be_loaded_from_the_folder_of_its_run(descriptor, benchmark, data, job):
    job(keep_model=True)
    model = new_model(descriptor, seed=3)
    model.load(job.folder)
    predicted = model.predict(data[2]).mean
    table = contracts.read_predictions(job.predictions, task_fold(benchmark))
    assert table["y_pred"].to_numpy().tobytes() == predicted.tobytes()


def test_a_failed_job_leaves_its_reason_until_it_succeeds(descriptor, job, monkeypatch):
    def fail(*_):
        raise MemoryError("out of memory in epoch 3")

    with monkeypatch.context() as patch:
        patch.setattr(find_model_class(descriptor["class"]), "fit", fail)
        with pytest.raises(MemoryError):
            job()
    failure = json.loads((job.folder / "failure.json").read_text())
    assert failure["error"] == "MemoryError"
    assert failure["message"] == "out of memory in epoch 3"
    assert failure["log"] == "logs/train.log"
    assert "in fail" in failure["traceback"]
    assert not job.predictions.exists()
    assert not (job.folder / "run.json").exists()
    job()
    assert not (job.folder / "failure.json").exists()
    assert job.predictions.exists()


def test_a_prediction_that_is_not_finite_fails_the_job(descriptor, job, monkeypatch):
    cls = find_model_class(descriptor["class"])
    predict = cls.predict

    def spoiled(self, molecules):
        prediction = predict(self, molecules)
        prediction.mean[1] = np.nan
        return prediction

    monkeypatch.setattr(cls, "predict", spoiled)
    with pytest.raises(ContractError, match=r"y_pred of molecule_id .* is not a finite number"):
        job()
    assert (job.folder / "failure.json").exists()
    assert not (job.folder / "run.json").exists()


def test_a_feature_file_that_lacks_molecules_is_named_with_them(descriptor, benchmark, job, tmp_path):
    if not descriptor["features"]:
        pytest.skip("the model reads no feature file")
    files = feature_files(descriptor, benchmark)
    name = descriptor["features"][-1]
    short = pq.read_table(files[name]).filter(~np.isin(np.arange(24), (2, 17)))
    pq.write_table(short, tmp_path / "short.parquet")
    with pytest.raises(ContractError) as error:
        job(features=files | {name: tmp_path / "short.parquet"})
    for part in ("short.parquet", "2 molecules", f"have no {name}", "2, 17", "delete the file and rerun"):
        assert part in str(error.value)
    assert json.loads((job.folder / "failure.json").read_text())["error"] == "ContractError"


def test_the_rows_of_a_feature_file_may_stand_in_any_order(descriptor, benchmark, job, tmp_path):
    job()
    shuffled = {}
    for name, path in feature_files(descriptor, benchmark).items():
        shuffled[name] = tmp_path / f"{name}.parquet"
        order = pa.array(np.random.default_rng(0).permutation(24))
        pq.write_table(pq.read_table(path).take(order), shuffled[name])
    job(features=shuffled, predictions=tmp_path / "again.parquet", run=tmp_path / "again/run.json")
    assert job.predictions.read_bytes() == (tmp_path / "again.parquet").read_bytes()


def test_only_the_oracle_is_shown_the_labels_of_the_test_folds(descriptor, benchmark, job, monkeypatch):
    cls, given = find_model_class(descriptor["class"]), {}
    fit_, predict_ = cls.fit, cls.predict

    def fit(self, train, valid, folder):
        given["train"], given["valid"] = train, valid
        fit_(self, train, valid, folder)

    def predict(self, molecules):
        given["predict"] = molecules
        return predict_(self, molecules)

    monkeypatch.setattr(cls, "fit", fit)
    monkeypatch.setattr(cls, "predict", predict)
    job()
    fold = task_fold(benchmark)
    truth = pq.read_table(benchmark / "molecules.parquet")[PROPERTY].to_numpy()
    for name in ("train", "valid"):
        assert set(fold[given[name].molecule_id]) == {name}
        assert np.array_equal(given[name].y, truth[given[name].molecule_id])
    asked = given["predict"]
    assert sorted(asked.molecule_id.tolist()) == np.flatnonzero(fold != "train").tolist()
    hidden = np.isin(fold[asked.molecule_id], ("id", "ood"))
    if descriptor["sees_truth"]:
        assert np.array_equal(asked.y, truth[asked.molecule_id])
    else:
        assert np.isnan(asked.y[hidden]).all()
        assert np.array_equal(asked.y[~hidden], truth[asked.molecule_id[~hidden]])


def test_labels_of_the_test_folds_do_not_change_a_prediction(descriptor, data, tmp_path):
    if descriptor["sees_truth"]:
        pytest.skip("the oracle is its labels")
    model = fit(descriptor, data, tmp_path)
    known = Molecules(data[2].molecule_id, data[2].smiles, np.full(10, 1e6), data[2].features)
    assert np.array_equal(model.predict(known).mean, model.predict(data[2]).mean)
