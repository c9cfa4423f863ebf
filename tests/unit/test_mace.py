import dataclasses
import logging

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from rdkit import Chem
from rdkit.Chem import Crippen
from scipy.spatial.transform import Rotation
from threadpoolctl import threadpool_limits

from boomlib.features import conformers
from boomlib.files import ContractError
from boomlib.harness.interface import Molecules
from boomlib.models.graph import mace

SMILES = [
    *("C", "N", "O", "CC", "C=C", "C#C", "CO", "CN", "CF", "C=O", "C#N", "CCC", "CC=C", "CC#C", "CCO", "CCN"),
    *("COC", "CNC", "CC=O", "CC#N", "NC=O", "OC=O", "OCO", "FCF", "C1CC1", "C1CO1", "C1CN1", "CC(C)C", "CC(C)=O"),
    *("CC(N)=O", "CC(=O)O", "COC=O", "[F-]"),
]
OPTIONS = {
    "num_interactions": 2,
    "num_channels": 8,
    "max_L": 1,
    "max_ell": 2,
    "correlation": 2,
    "r_max": 4.0,
    "default_dtype": "float64",
    "batch_size": 16,
    "valid_batch_size": 32,
    "lr": 0.01,
    "max_num_epochs": 2,
}


@pytest.fixture(autouse=True)
def one_thread():
    with threadpool_limits(1):
        yield


def as_molecules(smiles) -> Molecules:
    """With Crippen's log P: a sum over atoms, by their neighbours rather than by their elements."""
    y = np.array([Crippen.MolLogP(Chem.MolFromSmiles(text)) for text in smiles])
    features = {"conformers": pa.table(conformers.compute(smiles))}
    return Molecules(np.arange(len(smiles)), np.array(smiles, dtype=object), y, features)


@pytest.fixture(scope="module")
def labelled() -> Molecules:
    return as_molecules(SMILES)


def new_model(kind="extensive", **options) -> mace.MACE:
    return mace.MACE(kind=kind, seed=0, reference="elements", options=OPTIONS | options)


def fitted(labelled, folder, **arguments) -> mace.MACE:
    folder.mkdir(exist_ok=True)
    model = new_model(**arguments)
    model.fit(labelled, labelled.take(np.arange(20)), folder)
    return model


@pytest.fixture(scope="module")
def models(labelled, tmp_path_factory) -> dict[str, mace.MACE]:
    """One model a kind, hardly trained."""
    return {kind: fitted(labelled, tmp_path_factory.mktemp(kind), kind=kind) for kind in ("extensive", "intensive")}


def rebuilt(molecules, change) -> Molecules:
    """The molecules with ``change`` applied to atomic numbers and positions of each, in double precision."""
    rows = molecules.features["conformers"].select(["atomic_numbers", "positions"]).to_pylist()
    pairs = [change(np.array(row["atomic_numbers"]), np.reshape(row["positions"], (-1, 3))) for row in rows]
    columns = {
        "atomic_numbers": pa.array([numbers.tolist() for numbers, _ in pairs], pa.list_(pa.uint8())),
        "positions": pa.array([positions.ravel().tolist() for _, positions in pairs], pa.list_(pa.float64())),
    }
    return dataclasses.replace(molecules, features={"conformers": pa.table(columns)})


def learnt(model, molecules) -> np.ndarray:
    """The network's part of the predictions, standard deviations."""
    return model.references.transform(model.composition(molecules), model.predict(molecules).mean)


# -- symmetries ------------------------------------------------------------------------------------------

ROTATION = Rotation.from_euler("xyz", [40, 100, -20], degrees=True).as_matrix()
CHANGES = {
    "rotation": lambda numbers, positions: (numbers, positions @ ROTATION.T),
    "translation": lambda numbers, positions: (numbers, positions + np.array([7.0, -30.0, 2.0])),
    "reflection": lambda numbers, positions: (numbers, positions * np.array([1, 1, -1])),
    "permutation": lambda numbers, positions: (numbers[::-1], positions[::-1]),
}


@pytest.mark.parametrize("kind", ["extensive", "intensive"])
@pytest.mark.parametrize("change", CHANGES)
def test_answers_do_not_change_when_a_molecule_moves_or_its_atoms_are_listed_anew(models, labelled, kind, change):
    found = learnt(models[kind], rebuilt(labelled, CHANGES[change]))
    np.testing.assert_allclose(found, learnt(models[kind], labelled), rtol=1e-7, atol=1e-9)


def test_answers_change_when_a_molecule_is_stretched_unless_it_is_one_atom(models, labelled):
    stretched = rebuilt(labelled, lambda numbers, positions: (numbers, positions * 1.1))
    change = np.abs(learnt(models["extensive"], stretched) - learnt(models["extensive"], labelled))
    assert (change[:-1] > 1e-4).all()
    assert abs(learnt(models["extensive"], labelled)[-1]) < 1e-9


@pytest.mark.parametrize(("kind", "factor"), [("extensive", 2), ("intensive", 1)])
def test_twice_the_molecule_is_twice_what_is_extensive_and_no_more_of_what_is_intensive(
    models, labelled, kind, factor
):
    model = models[kind]
    pairs = rebuilt(labelled, lambda numbers, at: (np.tile(numbers, 2), np.concatenate([at, at + 60.0])))
    np.testing.assert_allclose(model.predict(pairs).mean, factor * model.predict(labelled).mean, rtol=1e-9)


@pytest.mark.parametrize("kind", ["extensive", "intensive"])
def test_an_answer_does_not_depend_on_the_rest_of_the_batch(models, labelled, kind):
    together = models[kind].predict(labelled).mean
    for row in (0, 17, len(labelled) - 1):
        np.testing.assert_allclose(
            models[kind].predict(labelled.take(np.array([row]))).mean, together[[row]], rtol=1e-9
        )


# -- elements --------------------------------------------------------------------------------------------


def test_atoms_of_an_unknown_element_are_left_out(models):
    strange = as_molecules(["C[Si](C)(C)C"])
    without = rebuilt(strange, lambda numbers, positions: (numbers[numbers != 14], positions[numbers != 14]))
    found, expected = (models["extensive"].predict(each).mean for each in (strange, without))
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_a_molecule_of_unknown_elements_alone_is_named(models):
    strange = dataclasses.replace(as_molecules(["CC", "[He]"]), molecule_id=np.array([4, 17]))
    with pytest.raises(ContractError, match=r"1 molecules have no atom of an element .* \(molecule_id 17\)"):
        models["extensive"].predict(strange)


# -- training --------------------------------------------------------------------------------------------


def test_a_network_can_learn_32_molecules_by_heart(labelled, tmp_path):
    some = labelled.take(np.arange(32))
    model = new_model(max_num_epochs=70, batch_size=8, ema_decay=0.9, scheduler_patience=5)
    model.fit(some, some, tmp_path)
    rmse = np.sqrt(np.mean((model.predict(some).mean - some.y) ** 2))
    assert rmse < 0.05 * some.y.std()


@pytest.mark.parametrize("kind", ["extensive", "intensive"])
def test_the_epoch_of_least_rmse_on_valid_is_used(labelled, tmp_path, kind):
    model, valid = new_model(kind, lr=0.3, max_num_epochs=6), labelled.take(np.arange(0, 33, 3))
    model.fit(labelled, valid, tmp_path)
    history = pd.read_csv(tmp_path / "history.csv")
    assert list(history) == ["epoch", "valid_rmse", "loss"]
    assert history["epoch"].tolist() == [1, 2, 3, 4, 5, 6]
    rmse = np.sqrt(np.mean((model.predict(valid).mean - valid.y) ** 2))
    assert rmse == pytest.approx(history["valid_rmse"].min(), rel=1e-6)
    assert history["valid_rmse"].idxmin() != 5


def test_patience_ends_training(labelled, tmp_path):
    fitted(labelled, tmp_path, lr=0.0, max_num_epochs=9, patience=3)
    assert len(pd.read_csv(tmp_path / "history.csv")) == 4


def test_an_interrupted_training_ends_with_the_same_bytes(labelled, tmp_path, monkeypatch):
    def results(name):
        model = fitted(labelled, tmp_path / name, max_num_epochs=4)
        model.save(tmp_path / name)
        return model.predict(labelled).mean.tobytes(), *(
            (tmp_path / name / file).read_bytes() for file in ("history.csv", "weights.pt")
        )

    expected = results("whole")
    evaluate, epochs = mace.evaluate, []

    def killed(*arguments):
        epochs.append(len(epochs))
        if len(epochs) == 3:
            raise KeyboardInterrupt
        return evaluate(*arguments)

    monkeypatch.setattr(mace, "evaluate", killed)
    with pytest.raises(KeyboardInterrupt):
        results("killed")
    assert results("killed") == expected
    assert len(epochs) == 5


def test_progress_is_shown_and_nothing_is_written_outside_the_folder(labelled, tmp_path, monkeypatch, capsys):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    fitted(labelled, tmp_path / "run")
    assert not list((tmp_path / "here").iterdir())
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["checkpoints", "history.csv"]
    shown = capsys.readouterr().out
    assert "training on " in shown
    assert "Epoch 2: loss " in shown


@pytest.mark.parametrize("options", [{}, {"num_channels": 0}])
def test_what_mace_changes_in_the_process_is_given_back(labelled, tmp_path, options):
    root = logging.getLogger()

    def state():
        return root.level, root.handlers[:], root.filters[:], torch.get_default_dtype(), mace.run_train.tools.train

    before = state()
    if options:
        with pytest.raises(AssertionError, match="num_channels"):
            fitted(labelled, tmp_path, **options)
    else:
        fitted(labelled, tmp_path).predict(labelled)
    assert state() == before


def test_an_option_that_the_trainer_does_not_know_fails_as_any_error(labelled, tmp_path):
    with pytest.raises(ValueError, match=r"mace_run_train does not take these options.*chanels"):
        fitted(labelled, tmp_path, chanels=3)


def test_a_training_that_diverges_says_so(labelled, tmp_path):
    with pytest.raises(FloatingPointError, match="after epoch 1: training has diverged"):
        fitted(labelled, tmp_path, lr=1e200)
