import dataclasses
import logging
import os
from types import SimpleNamespace

import ase
import e3nn
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from mace.cli.run_train import get_params_options
from mace.data import AtomicData, config_from_atoms
from mace.modules.loss import mean_squared_error_energy, weighted_mean_squared_error_energy
from mace.tools import AtomicNumberTable
from mace.tools.torch_geometric import Batch, DataLoader
from mace.tools.train import train_one_epoch
from rdkit import Chem
from rdkit.Chem import Crippen
from scipy.spatial.transform import Rotation
from threadpoolctl import threadpool_limits
from torch_ema import ExponentialMovingAverage

from boomlib.features import conformers, elements
from boomlib.files import ContractError
from boomlib.harness.interface import Molecules
from boomlib.harness.training import History
from boomlib.models.graph import mace

SMILES = [
    *("C", "N", "O", "CC", "C=C", "C#C", "CO", "CN", "CF", "C=O", "C#N", "CCC", "CC=C", "CC#C", "CCO", "CCN"),
    *("COC", "CNC", "CC=O", "CC#N", "NC=O", "OC=O", "OCO", "FCF", "C1CC1", "C1CO1", "C1CN1", "CC(C)C", "CC(C)=O"),
    *("CC(N)=O", "CC(=O)O", "COC=O", "[F-]"),
]
NETWORK = {
    "num_interactions": 2,
    "num_channels": 8,
    "max_L": 1,
    "max_ell": 2,
    "correlation": 2,
    "r_max": 4.0,
    "radial_MLP": [16, 16],
}
TRAINING = {
    "batch_size": 16,
    "valid_batch_size": 32,
    "max_num_epochs": 2,
    "patience": 10,
    "default_dtype": "float64",
    "lr": 0.01,
    "weight_decay": 5e-7,
    "clip_grad": 10.0,
    "ema_decay": 0.99,
    "scheduler": "ReduceLROnPlateau",
    "lr_factor": 0.8,
    "scheduler_patience": 15,
}
# MACE's, of the energy and of the energy per atom
LOSSES = {"extensive": mean_squared_error_energy, "intensive": weighted_mean_squared_error_energy}


@pytest.fixture(autouse=True)
def one_thread():
    with threadpool_limits(1):
        yield


def as_molecules(smiles) -> Molecules:
    """With Crippen's log P: a sum over atoms, by their neighbours rather than by their elements."""
    y = np.array([Crippen.MolLogP(Chem.MolFromSmiles(text)) for text in smiles])
    features = {module.__name__.split(".")[-1]: pa.table(module.compute(smiles)) for module in (conformers, elements)}
    return Molecules(np.arange(len(smiles)), np.array(smiles, dtype=object), y, features)


@pytest.fixture(scope="module")
def labelled() -> Molecules:
    return as_molecules(SMILES)


def new_model(kind="extensive", **training) -> mace.MACE:
    return mace.MACE(kind=kind, seed=0, reference="elements", network=NETWORK, training=TRAINING | training)


def fitted(labelled, folder, **arguments) -> mace.MACE:
    (folder / "state").mkdir(parents=True, exist_ok=True)
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
    return dataclasses.replace(molecules, features=dict(molecules.features) | {"conformers": pa.table(columns)})


def learnt(model, molecules) -> np.ndarray:
    """The network's part of the predictions, standard deviations."""
    return model.read(model.network, model.encode(molecules))


def draw_weights(network, seed) -> None:
    """Weights anew, from a normal distribution."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_()


def maces_own(molecules, elements) -> list[AtomicData]:
    """The structures as MACE's own code makes them, in double precision."""
    with mace.building("float64"):
        rows = molecules.features["conformers"].to_pylist()
        atoms = [ase.Atoms(row["atomic_numbers"], np.reshape(row["positions"], (-1, 3))) for row in rows]
        table = AtomicNumberTable(elements)
        return [AtomicData.from_config(config_from_atoms(each), table, NETWORK["r_max"]) for each in atoms]


# -- the network -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["extensive", "intensive"])
def test_a_sum_is_what_mace_calls_the_energy_and_a_mean_is_that_over_the_atoms(labelled, kind):
    model = new_model(kind)
    network = model.start(labelled)
    draw_weights(network, 1)
    graphs = maces_own(labelled, model.elements)
    with mace.building("float64"):
        found = [network.mace(batch.to_dict(), compute_force=True)["energy"] for batch in DataLoader(graphs, 7)]
    sizes = [each.num_nodes for each in graphs] if kind == "intensive" else 1
    expected = torch.cat(found).detach().numpy() / sizes
    assert np.std(expected) > 1e-3
    np.testing.assert_allclose(model.read(network, model.encode(labelled)), expected, rtol=1e-12, atol=1e-12)


def test_weights_decay_where_those_of_the_command_line_do(labelled):
    model = new_model(weight_decay=0.5)
    network = model.start(labelled)
    names = {"lr": 0.01, "weight_decay": 0.5, "lr_params_factors": "{}", "freeze": None, "amsgrad": True, "beta": 0.9}
    theirs = get_params_options(SimpleNamespace(**names), network.mace)
    groups = model.optimise(network, steps=1)["optimizer"].param_groups
    assert {group["amsgrad"] for group in groups} == {theirs["amsgrad"]}
    assert {group["betas"] for group in groups} == {theirs["betas"]}

    def decays(groups) -> dict:
        return {id(parameter): group["weight_decay"] for group in groups for parameter in group["params"]}

    assert decays(groups) == decays({**group, "params": list(group["params"])} for group in theirs["params"])


def test_the_average_is_that_of_torch_ema(labelled):
    model = new_model(ema_decay=0.5)
    network = model.start(labelled)
    average, expected = model.average(network), ExponentialMovingAverage(network.parameters(), decay=0.5)
    for step in range(12):  # from the eighth on the decay is 0.5
        draw_weights(network, step)
        average.update_parameters(network)
        expected.update()
    for found, wanted in zip(average.module.parameters(), expected.shadow_params, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", ["extensive", "intensive"])
def test_epochs_are_those_of_maces_own_trainer_on_the_same_batches(labelled, tmp_path, kind):
    model = fitted(labelled, tmp_path, kind=kind, clip_grad=0.5)
    copy = new_model(kind, clip_grad=0.5)
    network = copy.start(labelled)
    plan, z = copy.plan_epochs(labelled), model.references.transform(labelled)
    optimizer, average = (
        copy.optimise(network, steps=3)["optimizer"],
        ExponentialMovingAverage(network.parameters(), 0.99),
    )
    graphs = maces_own(labelled, copy.elements)
    for epoch in range(2):
        _, groups = plan(epoch)
        batches = [Batch.from_data_list([graphs[row] for row in rows]) for rows in groups]
        for rows, batch in zip(groups, batches, strict=True):
            batch.weight = batch.energy_weight = torch.ones(len(rows))
            batch.energy = torch.as_tensor(z[rows]) * (1 if kind == "extensive" else batch.ptr.diff())
        train_one_epoch(
            model=network.mace,
            loss_fn=LOSSES[kind],
            data_loader=batches,
            optimizer=optimizer,
            epoch=epoch,
            output_args={"forces": False, "virials": False, "stress": False},
            max_grad_norm=0.5,
            ema=average,
            logger=SimpleNamespace(log=lambda _: None),
            device=torch.device("cpu"),
            distributed=False,
        )
    average.copy_to()
    kept = pd.read_csv(tmp_path / "history.csv")["valid_rmse"].idxmin()
    assert kept == 1  # the epoch of the weights is the last
    for found, wanted in zip(model.network.parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(found, wanted.detach(), rtol=1e-5, atol=1e-6)


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
    pairs = rebuilt(labelled, lambda numbers, at: (np.tile(numbers, 2), np.concatenate([at, at + 60.0])))
    np.testing.assert_allclose(
        learnt(models[kind], pairs), factor * learnt(models[kind], labelled), rtol=1e-9, atol=1e-12
    )


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
    with pytest.raises(ContractError, match="1 molecules have no atom of an element") as error:
        models["extensive"].predict(strange)
    assert error.value.smiles == ["[He]"]


# -- training --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_network_can_learn_32_molecules_by_heart(labelled, tmp_path):
    some = labelled.take(np.arange(32))
    model = new_model(max_num_epochs=70, patience=70, batch_size=8, ema_decay=0.9, scheduler_patience=5)
    (tmp_path / "state").mkdir()
    model.fit(some, some, tmp_path)
    rmse = np.sqrt(np.mean((model.predict(some).mean - some.y) ** 2))
    assert rmse < 0.05 * some.y.std()


@pytest.mark.parametrize("kind", ["extensive", "intensive"])
def test_the_epoch_of_least_rmse_on_valid_is_used(labelled, tmp_path, kind):
    model, valid = new_model(kind, lr=0.3, max_num_epochs=6), labelled.take(np.arange(0, 33, 3))
    (tmp_path / "state").mkdir()
    model.fit(labelled, valid, tmp_path)
    history = pd.read_csv(tmp_path / "history.csv")
    assert history["epoch"].tolist() == [1, 2, 3, 4, 5, 6]
    rmse = np.sqrt(np.mean((model.predict(valid).mean - valid.y) ** 2))
    assert rmse == pytest.approx(history["valid_rmse"].min(), rel=1e-6)
    assert history["valid_rmse"].idxmin() != 5


def test_patience_ends_training(labelled, tmp_path):
    fitted(labelled, tmp_path, lr=0.0, weight_decay=0.0, max_num_epochs=9, patience=3)
    assert len(pd.read_csv(tmp_path / "history.csv")) == 4


SCHEDULES = {
    "ReduceLROnPlateau": ({"lr_factor": 0.5, "scheduler_patience": 1}, [1.0, 1.0, 0.5, 0.5, 0.25]),
    "ExponentialLR": ({"lr_scheduler_gamma": 0.5}, [0.5, 0.25, 0.125, 0.0625, 0.03125]),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_rate_changes_once_an_epoch_before_the_state_is_kept(labelled, tmp_path, name):
    settings, factors = SCHEDULES[name]
    rates, finish = [], History.on_train_epoch_end

    def note(self, trainer, module):
        rates.append(trainer.optimizers[0].param_groups[0]["lr"])
        finish(self, trainer, module)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(History, "on_train_epoch_end", note)
        # a rate at which nothing moves, so that valid does not improve after the first epoch
        fitted(labelled, tmp_path, lr=1e-6, max_num_epochs=5, scheduler=name, **settings)
    assert np.array(rates) / 1e-6 == pytest.approx(factors)


@pytest.mark.parametrize("epochs", [1, 4])
def test_a_rate_falls_to_its_last_value_whatever_the_number_of_epochs(labelled, tmp_path, epochs):
    settings = {"scheduler": "ExponentialLR", "lr": 1e-2, "final_lr": 1e-4, "lr_scheduler_gamma": 0.5}
    model = fitted(labelled, tmp_path, max_num_epochs=epochs, **settings)
    made = model.optimise(model.network, steps=1)
    for _ in range(epochs):
        made["optimizer"].step()
        made["lr_scheduler"]["scheduler"].step()
    assert made["optimizer"].param_groups[0]["lr"] == pytest.approx(1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("moves", [False, True], ids=["in place", "moved"])
def test_a_training_interrupted_in_each_epoch_ends_with_the_same_bytes(
    labelled, tmp_path, monkeypatch, schedule, moves
):
    settings = SCHEDULES[schedule][0] | {"max_num_epochs": 4, "scheduler_patience": 0, "ema_decay": 0.5, "lr": 0.3}

    def results(folder):
        model = fitted(labelled, folder, scheduler=schedule, **settings)
        model.save(folder)
        files = ("history.csv", "epochs.parquet", "weights.safetensors", "start.json", "references.json")
        return [(folder / file).read_bytes() for file in files]

    expected = results(tmp_path / "whole")
    finish, epochs, folder = History.on_train_epoch_end, [], tmp_path / "killed"

    def killed(self, trainer, module):
        epochs.append(trainer.current_epoch)
        if epochs.count(trainer.current_epoch) == 1:
            raise InterruptedError
        finish(self, trainer, module)

    monkeypatch.setattr(History, "on_train_epoch_end", killed)
    for attempt in range(4):
        with pytest.raises(InterruptedError):
            results(folder)
        if moves:
            folder = folder.rename(tmp_path / f"moved{attempt}")
    assert results(folder) == expected
    assert epochs == [0, 0, 1, 1, 2, 2, 3, 3]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["extensive", "intensive"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_loaded_model_predicts_what_the_saved_one_did(labelled, tmp_path, kind, precision):
    model, fresh = (new_model(kind, default_dtype=precision) for _ in range(2))
    (tmp_path / "state").mkdir()
    model.fit(labelled, labelled, tmp_path)
    model.save(tmp_path)
    fresh.load(tmp_path)
    assert fresh.predict(labelled).mean.tobytes() == model.predict(labelled).mean.tobytes()
    assert {weight.dtype for weight in fresh.network.parameters()} == {torch.float64}


@pytest.mark.parametrize("network", [{}, {"num_interactions": "two"}], ids=["it ends", "it fails"])
def test_nothing_of_the_process_is_changed(labelled, tmp_path, network):
    root = logging.getLogger()

    def state():
        settings = torch.get_default_dtype(), e3nn.get_optimization_defaults()
        return (
            root.level,
            root.handlers[:],
            root.filters[:],
            *settings,
            "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD" in os.environ,
        )

    before = state()
    assert "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD" not in os.environ
    model = new_model(max_num_epochs=1)
    model.sizes = model.sizes | network
    (tmp_path / "state").mkdir()
    if network:
        with pytest.raises(TypeError):
            model.fit(labelled, labelled, tmp_path)
    else:
        model.fit(labelled, labelled, tmp_path)
        model.predict(labelled)
    assert state() == before


def test_nothing_is_written_outside_the_folder(labelled, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    fitted(labelled, tmp_path / "run", max_num_epochs=1)
    assert not list((tmp_path / "here").iterdir())


def test_a_training_that_diverges_says_so(labelled, tmp_path):
    with pytest.raises(FloatingPointError, match="training has diverged"):
        fitted(labelled, tmp_path, lr=1e200)
