import logging
from pathlib import Path

import lightning
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from chemprop.cli import train as train_cli
from chemprop.models import load_model
from chemprop.nn import MeanAggregation, SumAggregation
from rdkit import Chem
from rdkit.Chem import Crippen

from boomlib.features import elements
from boomlib.harness.interface import Molecules
from boomlib.harness.training import History, read_state
from boomlib.models.graph.chemprop import Chemprop, run_chemprop

SMILES = [
    "C",
    "N",
    "O",
    "CC",
    "C=C",
    "C#C",
    "CO",
    "CN",
    "CF",
    "C=O",
    "C#N",
    "CCC",
    "CC=C",
    "CC#C",
    "CCO",
    "CCN",
    "COC",
    "CNC",
    "CC=O",
    "CC#N",
    "NC=O",
    "OC=O",
    "OCO",
    "FCF",
    "C1CC1",
    "C1CO1",
    "C1CN1",
    "CC(C)C",
    "CC(C)=O",
    "CC(N)=O",
    "CC(=O)O",
    "COC=O",
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


def small_model(kind="extensive", reference="elements", seed=0, **options) -> Chemprop:
    settings = {"message_hidden_dim": 16, "ffn_hidden_dim": 16, "epochs": 4, "batch_size": 8, "warmup_epochs": 1}
    return Chemprop(kind=kind, seed=seed, reference=reference, options=settings | options)


def read_network(content, folder) -> torch.nn.Module:
    (folder / "network.pt").write_bytes(content)
    return load_model(folder / "network.pt")


def test_a_network_can_learn_32_molecules_by_heart(labelled, tmp_path):
    model = small_model(
        message_hidden_dim=64, ffn_hidden_dim=64, epochs=150, batch_size=32, init_lr=0.001, max_lr=0.01
    )
    model.fit(labelled, labelled, tmp_path)
    rmse = np.sqrt(np.mean((model.predict(labelled).mean - labelled.y) ** 2))
    assert rmse < 0.05 * labelled.y.std()


def test_training_is_what_the_command_line_does_with_its_own_trainer(parts, tmp_path):
    model = small_model()
    model.fit(*parts, tmp_path)
    output = tmp_path / "by_hand"
    run_chemprop(model.train_command(tmp_path / "checkpoints/data.csv", output, "cpu"), train_cli, lightning.Trainer)
    ours, theirs = (
        read_network(content, tmp_path).state_dict()
        for content in (model.model, (output / "model_0/best.pt").read_bytes())
    )
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_an_interrupted_training_ends_with_the_same_bytes(parts, labelled, tmp_path, monkeypatch):
    def train(name):
        model = small_model(dropout=0.1)
        (tmp_path / name).mkdir(exist_ok=True)
        model.fit(*parts, tmp_path / name)
        return model.model, model.predict(labelled).mean.tobytes(), (tmp_path / name / "history.csv").read_bytes()

    finish, seen = History.on_train_epoch_end, []

    def stop(self, trainer, module):
        seen.append(trainer.current_epoch)
        if seen == [0, 1, 2]:
            raise InterruptedError
        finish(self, trainer, module)

    with monkeypatch.context() as patch:
        patch.setattr(History, "on_train_epoch_end", stop)
        with pytest.raises(InterruptedError):
            train("interrupted")
        interrupted = train("interrupted")
    assert seen == [0, 1, 2, 2, 3]
    assert interrupted == train("whole")
    assert interrupted == train("interrupted"), "a training that was complete"


def test_a_training_in_a_folder_given_relatively_as_jobs_have_it_goes_on(parts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = Path("run")
    folder.mkdir()
    small_model(epochs=2).fit(*parts, folder)
    assert "hyper_parameters" not in read_state(folder / "checkpoints/last.ckpt")
    small_model(epochs=2).fit(*parts, folder)


@pytest.mark.parametrize(("kind", "aggregation"), [("extensive", SumAggregation), ("intensive", MeanAggregation)])
@pytest.mark.parametrize("reference", ["elements", "mean"])
def test_an_extensive_property_is_a_sum_and_an_intensive_one_a_mean(parts, tmp_path, kind, aggregation, reference):
    model = small_model(kind, reference, epochs=2)
    model.fit(*parts, tmp_path)
    assert type(read_network(model.model, tmp_path).agg) is aggregation


def test_the_epoch_of_the_least_rmse_on_valid_is_kept(parts, tmp_path):
    # a learning rate so high that the last epoch is not the best
    model = small_model(epochs=12, init_lr=0.01, max_lr=0.1, final_lr=0.1)
    model.fit(*parts, tmp_path)
    history = pd.read_csv(tmp_path / "history.csv")
    assert history.columns.tolist() == ["epoch", "loss", "valid_rmse"]
    assert history["epoch"].tolist() == list(range(1, 13))
    assert history["valid_rmse"].idxmin() < 11
    rmse = np.sqrt(np.mean((model.predict(parts[1]).mean - parts[1].y) ** 2))
    assert rmse == pytest.approx(history["valid_rmse"].min(), rel=1e-5)


def test_references_carry_the_size_of_a_molecule(labelled, tmp_path):
    counts = labelled.features["elements"]
    y = -30.0 * counts["C"].to_numpy() + 4.0 * counts["H"].to_numpy()
    train = Molecules(labelled.molecule_id, labelled.smiles, y, labelled.features)
    model = small_model(epochs=2)
    model.fit(train, train, tmp_path)
    assert model.predict(as_molecules(["C" * 50])).mean == pytest.approx([-30 * 50 + 4 * 102], rel=1e-3)


def test_an_atom_alone_and_smiles_that_a_csv_must_quote_are_predicted(parts, tmp_path):
    model = small_model(epochs=2)
    model.fit(*parts, tmp_path)
    alone = model.predict(as_molecules(["O"])).mean
    smiles = ["CO |c:1,$a;b$|", "C", "O", "[Na+].[Cl-]", '[2H]C |$"R";R,$|']
    found = model.predict(as_molecules(smiles)).mean
    assert found.shape == (5,)
    assert np.isfinite(found).all()
    assert found[2] == pytest.approx(alone[0], rel=1e-12)
    assert found[0] == pytest.approx(model.predict(as_molecules(["CO"])).mean[0], rel=1e-12)


def test_a_smiles_that_cannot_be_read_is_named(parts, tmp_path):
    spoiled = Molecules(parts[0].molecule_id, np.array(["C1CC", *parts[0].smiles[1:]]), parts[0].y, parts[0].features)
    with pytest.raises(RuntimeError, match="SMILES C1CC is invalid"):
        small_model().fit(spoiled, parts[1], tmp_path)


def test_an_option_that_chemprop_does_not_have_is_an_error_of_the_job(parts, tmp_path, capsys):
    with pytest.raises(ValueError, match=r"refused, see above: chemprop train .*--widht 3"):
        small_model(widht=3).fit(*parts, tmp_path)
    assert "unrecognized arguments: --widht 3" in capsys.readouterr().err


def test_nothing_is_left_outside_the_folder_or_changed_in_the_process(parts, tmp_path, monkeypatch):
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "run"
    elsewhere.mkdir()
    folder.mkdir()
    monkeypatch.chdir(elsewhere)
    before = torch.are_deterministic_algorithms_enabled(), list(logging.getLogger().handlers)
    model = small_model(epochs=2)
    model.fit(*parts, folder)
    model.predict(parts[1])
    assert not list(elsewhere.iterdir())
    assert {path.name for path in folder.iterdir()} == {"checkpoints", "history.csv"}
    assert before == (torch.are_deterministic_algorithms_enabled(), logging.getLogger().handlers)
