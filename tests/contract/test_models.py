"""What every registered model must do; a new descriptor in config/models is covered without a change here."""

import contextlib
import csv
import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from conftest import ROOT, write_feature
from scipy.spatial.transform import Rotation
from tiny import MODELS, PROPERTY, TrainingJob, feature_files, member_files, small_descriptor, write_benchmark

from boomlib import contracts, registry
from boomlib.declared import order_features
from boomlib.features import elements
from boomlib.files import ContractError, MoleculeError
from boomlib.harness.interface import MEMBERS, Model, Molecules, PolicyModel, find_model_class
from boomlib.harness.job import read_task, report_unseen
from boomlib.harness.kept import read_kept
from boomlib.harness.training import History
from boomlib.provenance import hash_training

# networks of which there is a small size, and models that differ from another in a key
ALIKE = {name for name in MODELS if f"{name}_small" in MODELS or re.search("_embedded$|_volume$|_on_", name)}
ABLATED = {"ignn_small", "tgnn_small", "modernbert_small", "gotennet_small"}  # of the code of others


def list_models() -> list:
    """All models; slow are those that are like others."""
    slow = ALIKE | ABLATED
    return [
        # those of one model on one worker, which then fits it once
        pytest.param(name, marks=[pytest.mark.xdist_group(name)] + [pytest.mark.slow] * (name in slow))
        for name in MODELS
    ]


@pytest.fixture(scope="session", params=list_models())
def descriptor(request) -> dict:
    """One registered model, made small."""
    return small_descriptor(request.param)


@pytest.fixture(scope="session")
def benchmark(tmp_path_factory):
    """A folder with the molecules table, the blinded task table and all that some model reads besides."""
    folder = tmp_path_factory.mktemp("contract")
    write_benchmark(
        folder,
        {feature for model in MODELS.values() for feature in model["features"]},
        {member for model in MODELS.values() for member in registry.list_members(model)},
    )
    return folder


@pytest.fixture(scope="session")
def data(descriptor, benchmark) -> tuple[Molecules, Molecules, Molecules]:
    """Train, valid and the molecules to predict, as the model gets them."""
    truth = pq.read_table(benchmark / "molecules.parquet")[PROPERTY].to_numpy() if descriptor["sees_truth"] else None
    files = feature_files(descriptor, benchmark), truth, member_files(descriptor, benchmark)
    molecules, fold = read_task(benchmark / "task.parquet", *files)
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


@pytest.fixture(scope="session")
def fitted(descriptor, data, tmp_path_factory) -> Model:
    """A model that tests ask and do not change: of an extensive property, with seed 0."""
    return fit(descriptor, data, tmp_path_factory.mktemp("fitted"))


@pytest.fixture
def distinct(descriptor) -> None:
    """Skips models that are like another, where the test fits once more what it says of that other."""
    if descriptor["name"] in ALIKE - {"egnn_small_on_ridge"}:
        pytest.skip("a model that it is like has it tested")


def check_prediction(prediction):
    assert prediction.mean.shape == (10,)
    assert prediction.mean.dtype == np.float64
    assert np.isfinite(prediction.mean).all()
    if prediction.std is not None:
        assert prediction.std.shape == (10,)
        assert (prediction.std >= 0).all()


def test_predictions_are_finite_and_one_a_molecule(fitted, data):
    check_prediction(fitted.predict(data[2]))


def test_predictions_of_a_size_free_property_are_too(distinct, descriptor, data, tmp_path):
    check_prediction(fit(descriptor, data, tmp_path, kind="intensive").predict(data[2]))


def test_a_descriptor_says_whether_its_model_answers_a_policy(descriptor):
    assert issubclass(find_model_class(descriptor["class"]), PolicyModel) == descriptor["answers_policy"]


def test_one_seed_gives_the_same_bits_twice_and_leaves_the_molecules_as_they_were(
    distinct, descriptor, fitted, data, tmp_path
):
    before = [(each.y.copy(), dict(each.features)) for each in data]
    again = fit(descriptor, data, tmp_path).predict(data[2]).mean
    assert again.tobytes() == fitted.predict(data[2]).mean.tobytes()
    for (y, features), each in zip(before, data, strict=True):
        assert np.array_equal(each.y, y, equal_nan=True)
        assert all(each.features[name] is table for name, table in features.items())


@pytest.mark.slow
@pytest.mark.parametrize("unit", [2.0**-106, 2.0**92], ids=["smallest", "largest"])
def test_the_smallest_and_the_largest_labels_are_learnt_alike(distinct, descriptor, fitted, data, tmp_path, unit):
    """As far as labels may go (boomlib/datasets/labels.py), by powers of two, which round nothing."""

    def change(molecules: Molecules) -> Molecules:
        features = dict(molecules.features)
        if MEMBERS in features:
            said = features[MEMBERS]
            features[MEMBERS] = pa.table({name: said[name].to_numpy() * unit for name in said.column_names})
        return dataclasses.replace(molecules, y=molecules.y * unit, features=features)

    train, valid, asked = map(change, data)
    other = fit(descriptor, (train, valid), tmp_path)
    np.testing.assert_allclose(other.predict(asked).mean / unit, fitted.predict(data[2]).mean, rtol=1e-6)


def test_a_loaded_model_predicts_what_the_saved_one_did(descriptor, fitted, data, tmp_path):
    fitted.save(tmp_path)
    fresh = new_model(descriptor)
    fresh.load(tmp_path)
    assert fresh.predict(data[2]).mean.tobytes() == fitted.predict(data[2]).mean.tobytes()


def test_a_prediction_does_not_depend_on_the_other_molecules_or_their_order(fitted, data):
    together = fitted.predict(data[2]).mean
    order = np.random.default_rng(2).permutation(len(together))
    np.testing.assert_allclose(fitted.predict(data[2].take(order)).mean, together[order], rtol=1e-9)
    for some in (np.array([3]), np.array([8, 1, 5])):
        np.testing.assert_allclose(fitted.predict(data[2].take(some)).mean, together[some], rtol=1e-9)


def test_a_prediction_does_not_depend_on_molecule_id(distinct, descriptor, fitted, data, tmp_path):
    expected = fitted.predict(data[2]).mean
    renumbered = [dataclasses.replace(each, molecule_id=each.molecule_id[::-1].copy()) for each in data]
    other = fit(descriptor, renumbered, tmp_path)
    assert other.predict(renumbered[2]).mean.tobytes() == expected.tobytes()
    # those of train, so that what is remembered by id would be found
    for ids in (data[0].molecule_id[:10], data[2].molecule_id + 1000):
        renamed = dataclasses.replace(data[2], molecule_id=ids)
        assert fitted.predict(renamed).mean.tobytes() == expected.tobytes()


# elements, charges, bonds and tokens that no molecule of train has
STRANGE = [
    "C[Og]",
    "C[Fm+3]",
    "C[U+4]",
    "F[Xe]F",
    "[NH3]->[Pt]Cl",
    "C~[Na]",
    "[Fe+6]OC",
    "C[C@SP1](F)(Cl)Br",
    "[2H]C#P",
]


@pytest.fixture(scope="session")
def strange(descriptor, tmp_path_factory) -> Molecules:
    """Molecules that have little in common with those of train."""
    folder = tmp_path_factory.mktemp("strange")
    contracts.write_molecules(folder / "molecules.parquet", STRANGE, {}, {})
    for feature in descriptor["features"]:
        write_feature(feature, folder / "molecules.parquet", folder / f"{feature}.parquet")
    tables = {
        name: pq.read_table(path).drop_columns("molecule_id")
        for name, path in feature_files(descriptor, folder).items()
    }
    if members := registry.list_members(descriptor):
        said = np.random.default_rng(0).normal(size=(len(members), len(STRANGE)))
        tables[MEMBERS] = pa.table(dict(zip(members, said, strict=True)))
    y = np.full(len(STRANGE), 0.0 if descriptor["sees_truth"] else np.nan)
    return Molecules(np.arange(len(STRANGE)), np.array(STRANGE, dtype=object), y, tables)


def test_what_train_has_never_shown_has_an_answer_or_is_refused_by_name(descriptor, fitted, strange):
    reasons = fitted.find_unreadable(strange)
    refused = {
        "graph.equivariant_transformer.EquivariantTransformer": {"C[Og]": "Og", "C[Fm+3]": "Fm"},
        "language.regression_transformer.RegressionTransformer": {
            "C[Og]": "invalid atom symbol",
            "[NH3]->[Pt]Cl": "'>'",
            "C~[Na]": "'~'",
            "C[C@SP1](F)(Cl)Br": "invalid atom symbol",
        },
    }.get(descriptor["class"], {})
    assert {STRANGE[row] for row in reasons} == set(refused)
    for row, reason in reasons.items():
        assert refused[STRANGE[row]] in reason
    readable = strange.take(np.array([row not in reasons for row in range(len(STRANGE))]))
    assert np.isfinite(fitted.predict(readable).mean).all()


POSITIONS = ("conformers", "embedded")


def with_atoms(molecules: Molecules, change) -> Molecules:
    """Molecules whose atoms ``change`` lists anew and moves, in all features that have any.

    Args:
        molecules: with ``graph``, a feature with positions or both.
        change: number of atoms, positions (Å [n, 3]) -> which old atom each new one is, new positions of the old ones.
    """
    features = dict(molecules.features)
    tables = {name: features[name].to_pylist() for name in ("graph", *POSITIONS) if name in features}
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


def test_a_prediction_does_not_change_when_a_molecule_moves_or_its_atoms_are_listed_anew(descriptor, fitted, data):
    if not {"graph", *POSITIONS} & set(descriptor["features"]):
        pytest.skip("the model sees no atoms in an order and no positions")

    def difference(change) -> float:
        return np.abs(fitted.predict(with_atoms(data[2], change)).mean / fitted.predict(data[2]).mean - 1).max()

    # five epochs teach a network little, so that what it sees must also hold beside what it does not see
    seen = difference(lambda n, positions: (np.arange(n), 1.2 * positions))
    assert (seen > 1e-7) == bool(set(POSITIONS) & set(descriptor["features"]))
    differences = {name: difference(change) for name, change in CHANGES.items()}
    assert max(differences.values()) < (1e-3 * seen if seen else 1e-9), differences


@pytest.fixture
def job(descriptor, benchmark, tmp_path) -> TrainingJob:
    """A job that has not run."""
    return TrainingJob(descriptor, benchmark, tmp_path)


@pytest.fixture(scope="session")
def done(descriptor, benchmark, tmp_path_factory) -> TrainingJob:
    """One that has; tests leave its files as they are."""
    job = TrainingJob(descriptor, benchmark, tmp_path_factory.mktemp("done"))
    job()
    return job


@pytest.fixture(scope="session", params=["ridge", "egnn_small", "nlmtp_small"])
def some(request, benchmark, tmp_path_factory) -> TrainingJob:
    """A job that has run, of a model of each kind, for what the job does the same way with any model."""
    job = TrainingJob(small_descriptor(request.param), benchmark, tmp_path_factory.mktemp("some"))
    job()
    return job


@pytest.fixture
def fresh(some, benchmark, tmp_path) -> TrainingJob:
    """The same one before it has run."""
    return TrainingJob(some.descriptor, benchmark, tmp_path)


def task_fold(benchmark) -> np.ndarray:
    return contracts.read_table(benchmark / "task.parquet")["fold"].to_numpy().astype(str)


def test_a_job_writes_valid_predictions_and_what_made_them(descriptor, benchmark, done):
    table = contracts.read_predictions(done.predictions, task_fold(benchmark))
    assert table.num_rows == 10
    record = json.loads((done.folder / "run.json").read_text())
    assert record["seconds"] >= 0
    assert record["resumed"] is False
    assert record["commit"]
    assert record["code"] == hash_training(
        descriptor["class"], descriptor["parameters"], order_features(descriptor["features"])
    )
    assert {"python", "numpy", "pyarrow"} <= set(record["versions"])
    assert record["molecules"] == {"train": 14, "valid": 4, "id": 3, "ood": 3}
    assert (record["property"], record["seed"]) == (PROPERTY, 3)
    assert record["model"] == {key: descriptor[key] for key in ("class", "parameters")}
    assert record["device"].startswith("CPU (")
    assert record["prediction_device"].startswith("CPU (")
    assert record["peak_gpu_memory_mib"] is None
    assert not (done.folder / "failure.json").exists()


def test_a_network_does_not_stay_as_it_was(done):
    history = done.folder / "history.csv"
    rows = list(csv.DictReader(history.open())) if history.exists() else []
    if not (rows and "epoch" in rows[0]):
        pytest.skip("the model is not trained by epochs")
    # digits may stay the same while their probabilities move
    moved = len({row["valid_rmse"] for row in rows}) > 1
    assert moved or float(rows[-1]["loss"]) < float(rows[0]["loss"])


@pytest.mark.slow
def test_a_job_gives_the_same_bytes_twice(done, job):
    job()
    assert job.predictions.read_bytes() == done.predictions.read_bytes()


@pytest.mark.slow
def test_an_interrupted_training_goes_on_in_a_moved_folder_to_the_same_bytes(done, job, tmp_path, monkeypatch):
    expected = {
        path.name: path.read_bytes()
        for path in done.folder.iterdir()
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
        job(predictions=tmp_path / "again.parquet", run=again / "run.json")
    if not started:
        pytest.skip("the model has no epochs of ours to resume")
    assert not (tmp_path / "again.parquet").exists()
    again = again.rename(tmp_path / "moved")  # as by `mv` of a checkout
    job(predictions=tmp_path / "again.parquet", run=again / "run.json")
    assert started == [0, 1, 2, 2, 3, 4]
    assert (tmp_path / "again.parquet").read_bytes() == done.predictions.read_bytes()
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
    if descriptor["class"].startswith(("committee.", "control.", "tabular.")):  # without a state to go on from
        fit(descriptor, data, tmp_path)
    else:
        with pytest.raises(ContractError, match=r"state/last\.(ckpt|pt): .* no other pickle .* run again"):
            fit(descriptor, data, tmp_path)
    assert not opened.exists()


def test_a_kept_model_can_be_loaded_from_the_folder_of_its_run(descriptor, benchmark, data, done):
    model = new_model(descriptor, seed=3)
    model.load(done.folder)
    predicted = model.predict(data[2]).mean
    table = contracts.read_predictions(done.predictions, task_fold(benchmark))
    assert table["y_pred"].to_numpy().tobytes() == predicted.tobytes()


ODD = [
    "[Xe]",
    "[Na+].[Cl-]",
    "C",
    "[H][H]",
    "OB(O)c1ccccc1",
    "O=S(=O)(O)C(F)(F)F",
    "C[Hg]C",
    "[CH3-].[CH3-].[Zn+2]",
    "[NH3]->[Pt]Cl",
    "C[Og]",
]
NO_MOLECULES = ["C1CC", "CC(", "*C", "", None, "C" * 2001]


def read_asked(done) -> tuple[list[str], np.ndarray]:
    """The molecules that a job has predicted, and what it has said."""
    if registry.list_members(done.descriptor):
        pytest.skip("its members are not trained here: tests/unit/test_kept.py")
    if done.descriptor["sees_truth"]:
        with pytest.raises(ContractError, match=r"Oracle.* is shown the labels"):
            read_kept(done.folder)
        pytest.skip("refused")
    smiles = contracts.read_table(done.benchmark / "molecules.parquet")["smiles"].to_numpy()
    table = contracts.read_table(done.predictions)
    return smiles[table["molecule_id"].to_numpy()].tolist(), table["y_pred"].to_numpy()


def test_a_kept_model_predicts_molecules_from_outside_or_says_why_not(done):
    smiles, expected = read_asked(done)
    kept = read_kept(done.folder)
    same = kept.predict(smiles)
    assert same.mean.tobytes() == expected.tobytes()
    assert same.reasons == {}
    mixed = kept.predict([*NO_MOLECULES, *smiles[:5], *ODD, *smiles[5:]])
    told = np.isfinite(mixed.mean)
    assert set(np.flatnonzero(~told)) == set(mixed.reasons)
    assert set(range(len(NO_MOLECULES))) <= set(mixed.reasons)
    assert all(isinstance(reason, str) and "Error" not in reason for reason in mixed.reasons.values()), mixed.reasons
    known = mixed.mean[len(NO_MOLECULES) :]
    found = np.concatenate([known[:5], known[5 + len(ODD) :]])
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert told.sum() > len(smiles)  # some of the odd ones too


FIRST = {model["class"]: name for name, model in reversed(MODELS.items())}


@pytest.mark.slow
def test_a_kept_model_predicts_the_same_bytes_in_a_fresh_process(done, tmp_path):
    """Of each class one, since a process takes seconds to start."""
    if FIRST[done.descriptor["class"]] != done.descriptor["name"]:
        pytest.skip("another model of its class does")
    smiles, expected = read_asked(done)
    moved = shutil.copytree(done.folder, tmp_path / "elsewhere")
    program = (
        "import sys; from pathlib import Path; from boomlib.harness.kept import read_kept; "
        "kept = read_kept(sys.argv[1]); said = kept.predict(sys.argv[3:]); "
        "Path(sys.argv[2]).write_bytes(said.mean.tobytes()); print(kept.identity)"
    )
    command = [sys.executable, "-c", program, moved, tmp_path / "said", *smiles]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "said").read_bytes() == expected.tobytes()
    assert ran.stdout.split()[-1] == read_kept(done.folder).identity


def test_checkpoints_of_other_settings_are_not_continued(some, fresh):
    folder = fresh.folder
    (folder / "state").mkdir(parents=True)
    (folder / "state/last.ckpt").write_bytes(b"of another run")
    (folder / "state/identity").write_text("other settings")
    fresh()
    assert fresh.predictions.read_bytes() == some.predictions.read_bytes()
    assert not (folder / "state").exists()


def test_a_failure_over_molecules_says_where_they_stand_in_the_users_file(fresh, monkeypatch, tmp_path):
    table = contracts.read_table(fresh.benchmark / "task.parquet")
    origin = contracts.Origin("data/x.csv", "line", np.arange(table.num_rows) * 2 + 2)
    contracts.write_table(table.append_column(*origin.as_column()), tmp_path / "task.parquet")
    first, second = table["smiles"][3].as_py(), table["smiles"][7].as_py()

    def fail(*_):
        raise MoleculeError("2 molecules are too strange; remove them", [first, second])

    monkeypatch.setattr(find_model_class(fresh.descriptor["class"]), "predict", fail)
    with pytest.raises(ContractError):
        fresh(task=tmp_path / "task.parquet")
    failure = json.loads((fresh.folder / "failure.json").read_text())
    assert failure["error"] == "ContractError"
    place = f"data/x.csv, line 8 ({first}), line 16 ({second})"
    assert failure["message"] == f"{place}: 2 molecules are too strange; remove them"


def test_a_failed_job_leaves_its_reason_until_it_succeeds(fresh, monkeypatch):
    def fail(*_):
        raise MemoryError("out of memory in epoch 3")

    with monkeypatch.context() as patch:
        patch.setattr(find_model_class(fresh.descriptor["class"]), "fit", fail)
        with pytest.raises(MemoryError):
            fresh()
    failure = json.loads((fresh.folder / "failure.json").read_text())
    assert failure["error"] == "MemoryError"
    assert failure["message"] == "out of memory in epoch 3"
    assert failure["log"] == "logs/train.log"
    assert "in fail" in failure["traceback"]
    assert not fresh.predictions.exists()
    assert not (fresh.folder / "run.json").exists()
    fresh()
    assert not (fresh.folder / "failure.json").exists()
    assert fresh.predictions.exists()


def test_molecules_that_a_model_cannot_read_are_named_before_training_whatever_their_fold(
    fresh, benchmark, monkeypatch
):
    cls = find_model_class(fresh.descriptor["class"])
    task = contracts.read_table(benchmark / "task.parquet")
    smiles, fold = task["smiles"].to_pylist(), task_fold(benchmark)
    rows = [int(np.flatnonzero(fold == name)[0]) for name in contracts.FOLDS]
    monkeypatch.setattr(cls, "find_unreadable", lambda *_: dict.fromkeys(rows, "it has no such element"))
    monkeypatch.setattr(cls, "fit", None)
    with pytest.raises(ContractError) as error:
        fresh()
    assert str(error.value) == (
        f"{', '.join(smiles[row] for row in rows)}: the model cannot read 4 of 24 molecules (it has no such element); "
        "every model predicts every molecule, so remove their rows in the source, or leave the model out of `models:`"
    )
    failure = json.loads((fresh.folder / "failure.json").read_text())
    assert (failure["error"], failure["message"]) == ("ContractError", str(error.value))


def test_elements_that_train_lacks_are_told_with_their_molecules(capsys, tmp_path):
    smiles = ["CO", "C[Si](C)C", "N", "[Og]", "O[Si]"]
    molecules = Molecules(
        np.arange(5), np.array(smiles, dtype=object), np.zeros(5), {"elements": pa.table(elements.compute(smiles))}
    )
    task = tmp_path / "task.parquet"
    origin = contracts.Origin("x.csv", "line", np.array([2, 3, 5, 8, 13]))
    contracts.write_table(pa.table({"smiles": smiles}).append_column(*origin.as_column()), task)
    report_unseen(molecules, np.array(["train", "valid", "train", "ood", "id"]), task)
    assert capsys.readouterr().out == (
        "x.csv, line 3 (C[Si](C)C), line 8 ([Og]), line 13 (O[Si]): 3 molecules have elements that train lacks "
        "(Si, Og), of which the model has learnt nothing\n"
    )
    report_unseen(molecules, np.full(5, "train"), task)
    report_unseen(dataclasses.replace(molecules, features={}), np.full(5, "ood"), task)
    assert capsys.readouterr().out == ""


def test_a_prediction_that_is_not_finite_fails_the_job(fresh, monkeypatch):
    cls = find_model_class(fresh.descriptor["class"])
    predict = cls.predict

    def spoiled(self, molecules):
        prediction = predict(self, molecules)
        prediction.mean[1] = np.nan
        return prediction

    monkeypatch.setattr(cls, "predict", spoiled)
    with pytest.raises(ContractError, match=r"y_pred of 1 molecules is not a finite number \(.+\)"):
        fresh()
    assert (fresh.folder / "failure.json").exists()
    assert not (fresh.folder / "run.json").exists()


def test_a_feature_file_that_lacks_molecules_is_named_with_them(fresh, benchmark, tmp_path):
    files = feature_files(fresh.descriptor, benchmark)
    name = fresh.descriptor["features"][-1]
    short = pq.read_table(files[name]).filter(~np.isin(np.arange(24), (2, 17)))
    pq.write_table(short, tmp_path / "short.parquet")
    with pytest.raises(ContractError) as error:
        fresh(features=files | {name: tmp_path / "short.parquet"})
    smiles = contracts.read_table(benchmark / "task.parquet")["smiles"].to_pylist()
    named = f"{smiles[2]}, {smiles[17]}"
    for part in ("short.parquet", "2 molecules", f"have no {name}", named, "delete the file and rerun"):
        assert part in str(error.value)
    assert json.loads((fresh.folder / "failure.json").read_text())["error"] == "ContractError"


def test_the_rows_of_a_feature_file_may_stand_in_any_order(some, fresh, benchmark, tmp_path):
    shuffled = {}
    for name, path in feature_files(fresh.descriptor, benchmark).items():
        shuffled[name] = tmp_path / f"{name}.parquet"
        order = pa.array(np.random.default_rng(0).permutation(24))
        pq.write_table(pq.read_table(path).take(order), shuffled[name])
    fresh(features=shuffled)
    assert fresh.predictions.read_bytes() == some.predictions.read_bytes()


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


def test_labels_of_the_test_folds_do_not_change_a_prediction(descriptor, fitted, data):
    if descriptor["sees_truth"]:
        pytest.skip("the oracle is its labels")
    known = Molecules(data[2].molecule_id, data[2].smiles, np.full(10, 1e6), data[2].features)
    assert np.array_equal(fitted.predict(known).mean, fitted.predict(data[2]).mean)
