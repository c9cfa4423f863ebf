"""Chemprop's network in our training."""

import logging

import lightning
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from chemprop.data import MoleculeDatapoint, MoleculeDataset, build_dataloader, collate_batch
from chemprop.nn import MeanAggregation, SumAggregation
from rdkit import Chem
from rdkit.Chem import Crippen

from boomlib.features import elements
from boomlib.harness.interface import Molecules
from boomlib.models.graph.chemprop import Chemprop

SMILES = [
    *("C", "N", "O", "CC", "C=C", "C#C", "CO", "CN", "CF", "C=O", "C#N"),
    *("CCC", "CC=C", "CC#C", "CCO", "CCN", "COC", "CNC", "CC=O", "CC#N", "NC=O", "OC=O", "OCO", "FCF"),
    *("C1CC1", "C1CO1", "C1CN1", "CC(C)C", "CC(C)=O", "CC(N)=O", "CC(=O)O", "COC=O"),
]


def as_molecules(smiles, y=None) -> Molecules:
    features = {"elements": pa.table(elements.compute(smiles))}
    values = np.full(len(smiles), np.nan) if y is None else y
    return Molecules(np.arange(len(smiles)), np.array(smiles, dtype=object), values, features)


@pytest.fixture(scope="module")
def labelled() -> Molecules:
    """Small molecules with Crippen's log P: a sum over atoms, by their neighbours rather than by their elements."""
    return as_molecules(SMILES, np.array([Crippen.MolLogP(Chem.MolFromSmiles(text)) for text in SMILES]))


@pytest.fixture
def parts(labelled) -> tuple[Molecules, Molecules]:
    """Train and valid."""
    return labelled.take(np.arange(24)), labelled.take(np.arange(24, 32))


def small_model(kind="extensive", reference="elements", width=16, **training) -> Chemprop:
    rates = {"warmup_epochs": 1, "init_lr": 1e-4, "max_lr": 1e-3, "final_lr": 1e-4}
    return Chemprop(
        kind=kind,
        seed=0,
        reference=reference,
        message_hidden_dim=width,
        depth=3,
        ffn_hidden_dim=width,
        ffn_num_layers=1,
        activation="relu",
        dropout=0.0,
        training={"batch": 8, "epochs": 2, "clip": None} | rates | training,
    )


@pytest.mark.slow
def test_a_network_can_learn_32_molecules_by_heart(labelled, tmp_path):
    model = small_model(width=64, epochs=150, batch=32, init_lr=0.001, max_lr=0.01)
    model.fit(labelled, labelled, tmp_path)
    rmse = np.sqrt(np.mean((model.predict(labelled).mean - labelled.y) ** 2))
    assert rmse < 0.05 * labelled.y.std()


def test_answers_are_those_that_chemprop_gives_with_the_same_network(parts, labelled, tmp_path):
    model = small_model()
    model.fit(*parts, tmp_path)
    loader = build_dataloader(MoleculeDataset([MoleculeDatapoint.from_smi(text) for text in SMILES]), shuffle=False)
    trainer = lightning.Trainer(accelerator="cpu", logger=False, enable_progress_bar=False)
    ours = model.read(model.network, model.encode(labelled))
    theirs = torch.cat(trainer.predict(model.network.mpnn.float(), loader))[:, 0]
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_a_step_is_chemprops_own(labelled):
    """The same first weights and batches: the loss that Chemprop's own module minimises, and its optimiser."""
    ours, theirs = small_model(), small_model().start(labelled).mpnn
    ours.references.fit_transform(labelled, labelled)
    network, graphs = ours.start(labelled), ours.encode(labelled)
    z = torch.as_tensor(ours.references.transform(labelled), dtype=torch.float32)
    points = [MoleculeDatapoint.from_smi(text, y=[value]) for text, value in zip(SMILES, z.tolist(), strict=True)]
    batch = collate_batch(MoleculeDataset(points)[row] for row in range(32))
    optimizers = [ours.optimise(network, 1)["optimizer"], torch.optim.Adam(theirs.parameters(), 1e-4)]
    theirs.log = lambda *_, **__: None  # without a trainer
    for _ in range(3):
        losses = [ours.losses(network, ours.collate(graphs, np.arange(32)), z).mean(), theirs.training_step(batch, 0)]
        assert losses[0].item() == pytest.approx(losses[1].item(), rel=1e-5)
        for optimizer, loss in zip(optimizers, losses, strict=True):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def test_a_smiles_that_cannot_be_read_is_named(parts):
    with pytest.raises(RuntimeError, match="SMILES C1CC is invalid"):
        small_model().encode(Molecules(np.arange(1), np.array(["C1CC"], dtype=object), np.zeros(1)))


def test_the_epoch_of_the_least_rmse_on_valid_is_kept(parts, tmp_path):
    # a learning rate so high that the last epoch is not the best
    model = small_model(epochs=12, init_lr=0.01, max_lr=0.1, final_lr=0.1)
    model.fit(*parts, tmp_path)
    history = pd.read_csv(tmp_path / "history.csv")
    assert history["epoch"].tolist() == list(range(1, 13))
    assert history["valid_rmse"].idxmin() < 11
    rmse = np.sqrt(np.mean((model.predict(parts[1]).mean - parts[1].y) ** 2))
    assert rmse == pytest.approx(history["valid_rmse"].min(), rel=1e-5)


def test_the_rate_is_chemprops(parts):
    model = small_model(epochs=4, warmup_epochs=2, init_lr=1e-4, max_lr=1e-3, final_lr=1e-5)
    setting = model.optimise(model.start(parts[0]), steps=10)
    rates = []
    for _ in range(40):
        rates.append(setting["optimizer"].param_groups[0]["lr"])
        setting["optimizer"].step()
        setting["lr_scheduler"]["scheduler"].step()
    assert rates[:3] == pytest.approx([1e-4, 1.45e-4, 1.9e-4])
    assert max(rates) == rates[20] == pytest.approx(1e-3)
    assert setting["optimizer"].param_groups[0]["lr"] == pytest.approx(1e-5)


@pytest.mark.parametrize(("kind", "aggregation"), [("extensive", SumAggregation), ("intensive", MeanAggregation)])
def test_an_extensive_property_is_a_sum_and_an_intensive_one_a_mean(parts, kind, aggregation):
    assert type(small_model(kind).start(parts[0]).mpnn.agg) is aggregation


def test_references_carry_the_size_of_a_molecule(labelled, tmp_path):
    counts = labelled.features["elements"]
    y = -30.0 * counts["C"].to_numpy() + 4.0 * counts["H"].to_numpy()
    train = Molecules(labelled.molecule_id, labelled.smiles, y, labelled.features)
    model = small_model()
    model.fit(train, train, tmp_path)
    assert model.predict(as_molecules(["C" * 50])).mean == pytest.approx([-30 * 50 + 4 * 102], rel=1e-3)


def test_an_atom_alone_salts_isotopes_and_extended_smiles_are_predicted(parts, tmp_path):
    model = small_model()
    model.fit(*parts, tmp_path)
    smiles = ["CO |c:1,$a;b$|", "C", "O", "[Na+].[Cl-]", '[2H]C |$"R";R,$|']
    found = model.predict(as_molecules(smiles)).mean
    assert np.isfinite(found).all()
    assert found[2] == pytest.approx(model.predict(as_molecules(["O"])).mean[0], rel=1e-12)
    assert found[0] == pytest.approx(model.predict(as_molecules(["CO"])).mean[0], rel=1e-12)


def test_nothing_is_left_outside_the_folder_or_changed_in_the_process(parts, tmp_path, monkeypatch):
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "run"
    elsewhere.mkdir()
    folder.mkdir()
    monkeypatch.chdir(elsewhere)
    before = torch.are_deterministic_algorithms_enabled(), list(logging.getLogger().handlers)
    model = small_model()
    model.fit(*parts, folder)
    model.predict(parts[1])
    assert not list(elsewhere.iterdir())
    assert {path.name for path in folder.iterdir()} == {"state", "epochs.parquet", "history.csv"}
    assert before == (torch.are_deterministic_algorithms_enabled(), logging.getLogger().handlers)
