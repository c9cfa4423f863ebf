import json

import numpy as np
import pyarrow as pa
import pytest

from boomlib import contracts
from boomlib.files import ContractError
from boomlib.harness import job as train
from boomlib.harness import pretraining as stage
from boomlib.harness.interface import STATE, Model, Prediction

SMILES = ["CC", "CO", "CN", "CF"]
MODEL = {"class": "control.train_mean.TrainMean", "parameters": {"epochs": 2, "pretrained": "mlm"}}
SETTINGS = {"class": "control.train_mean.TrainMean", "parameters": {}}


class Learner(Model):
    """Leaves a file a finished epoch; ``stop`` is the epoch in which it is killed, ``trained`` those that it began."""

    stop, trained = None, []

    def __init__(self, *, epochs, pretrained, **common):
        super().__init__(**common)
        self.epochs, self.start = epochs, pretrained

    def pretrain(self, smiles, folder, source):
        assert (self.kind, self.seed, self.threads, self.start, self.checkpoint) == ("extensive", 0, 2, None, None)
        for epoch in range(self.epochs):
            if not (folder / STATE / str(epoch)).exists():
                self.trained.append(epoch)
                if epoch == self.stop:
                    raise InterruptedError
                (folder / STATE / str(epoch)).touch()
        (folder / "model.safetensors").write_text(" ".join(smiles))
        (folder / "checkpoint.json").write_text(source)

    def fit(self, train, valid, folder):
        source = self.checkpoint and (self.checkpoint / "checkpoint.json").read_text()
        self.facts = {"pretrained": source}
        (folder / STATE / "last.ckpt").touch()
        if self.stop is not None:
            raise InterruptedError

    def predict(self, molecules):
        return Prediction(np.zeros(len(molecules)))

    def save(self, folder):
        raise AssertionError

    def load(self, folder):
        raise AssertionError


@pytest.fixture
def learner(monkeypatch):
    """The class, in place of the one that descriptors name."""
    for module in (stage, train):
        monkeypatch.setattr(module, "find_model_class", lambda name: Learner)
    monkeypatch.setattr(Learner, "trained", [])
    return Learner


@pytest.fixture
def pretrain(learner, tmp_path):
    """Pretrain on a small corpus into a folder that exists, as Snakemake makes it."""
    corpus, folder = tmp_path / "corpus.parquet", tmp_path / "mlm"
    table = {"smiles": SMILES, "dataset": ["b", "b", "a", "a"]}
    contracts.write_table(pa.table(table), corpus, contracts.CORPUS)
    folder.mkdir()

    def run(settings=SETTINGS):
        stage.pretrain(corpus, folder, model=MODEL, settings=settings, threads=2)

    run.corpus, run.folder = corpus, folder
    return run


def contents(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_a_checkpoint_replaces_what_was_there_and_names_its_source(pretrain, tmp_path):
    (pretrain.folder / "vocab.json").touch()
    pretrain()
    assert contents(pretrain.folder) == {
        "model.safetensors": "CC CO CN CF",
        "checkpoint.json": "MLM on 4 molecules of b, a",
    }
    assert {path.name for path in tmp_path.iterdir()} == {"corpus.parquet", "mlm"}


def test_molecules_that_the_model_cannot_read_are_left_out_and_named(pretrain, learner, monkeypatch, capsys):
    monkeypatch.setattr(learner, "find_unreadable", lambda _, molecules: {1: f"{molecules.smiles[1]} is too round"})
    pretrain()
    assert contents(pretrain.folder) == {
        "model.safetensors": "CC CN CF",
        "checkpoint.json": "MLM on 3 molecules of b, a",
    }
    assert capsys.readouterr().out == "left out, since the model cannot read them (1): CO is too round\n"


def test_a_killed_pretraining_leaves_nothing_and_goes_on(pretrain, learner, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(InterruptedError):
        patch.setattr(learner, "stop", 1)
        pretrain()
    assert contents(pretrain.folder) == {}
    pretrain()
    assert learner.trained == [0, 1, 1]
    assert set(contents(pretrain.folder)) == {"model.safetensors", "checkpoint.json"}


@pytest.mark.parametrize("changed", ["settings", "corpus"])
def test_a_pretraining_of_other_settings_or_molecules_is_not_continued(pretrain, learner, monkeypatch, changed):
    with monkeypatch.context() as patch, pytest.raises(InterruptedError):
        patch.setattr(learner, "stop", 1)
        pretrain()
    if changed == "corpus":
        table = contracts.read_table(pretrain.corpus).slice(1)
        contracts.write_table(table, pretrain.corpus, contracts.CORPUS)
    pretrain(SETTINGS | {"parameters": {"network": 1}} if changed == "settings" else SETTINGS)
    assert learner.trained == [0, 1, 0, 1]


@pytest.fixture
def job(learner, tmp_path):
    """A training job on four molecules; ``pretrained`` in the descriptor, and the weights of a checkpoint."""
    task, folder = tmp_path / "task.parquet", tmp_path / "checkpoint"
    y = pa.array([1.0, 2.0, None, None], pa.float64())
    fold = contracts.fold_array(["train", "valid", "id", "ood"])
    contracts.write_table(
        pa.table({"molecule_id": np.arange(4), "smiles": SMILES, "fold": fold, "y": y}), task, contracts.TASK
    )
    folder.mkdir()
    (folder / "model.safetensors").write_text("weights")
    (folder / "checkpoint.json").write_text("org/name@c0ffee")

    def run(wanted, weights):
        model = MODEL | {"parameters": {"epochs": 1, "pretrained": wanted}}
        path = tmp_path / "seed0/run.json"
        files = [weights, folder / "checkpoint.json"] if weights else []
        train.train_and_predict(
            train.Job(
                task=task,
                features={},
                predictions=tmp_path / "seed0.parquet",
                run=path,
                model=model,
                kind="extensive",
                property="p",
                seed=0,
                checkpoint=files,
            )
        )
        return json.loads(path.read_text())

    run.weights, run.folder = folder / "model.safetensors", tmp_path / "seed0"
    return run


def test_a_model_starts_from_the_checkpoint_and_its_run_says_so(job):
    assert job("mlm", job.weights)["pretrained"] == "org/name@c0ffee"
    assert job(None, None)["pretrained"] is None


@pytest.mark.parametrize("weights", ["weights", "other"])
def test_a_killed_training_goes_on_from_the_same_weights_alone(job, learner, monkeypatch, weights):
    with monkeypatch.context() as patch, pytest.raises(InterruptedError):
        patch.setattr(learner, "stop", 0)
        job("mlm", job.weights)
    job.weights.write_text(weights)
    assert job("mlm", job.weights)["resumed"] == (weights == "weights")


@pytest.mark.parametrize(
    ("wanted", "given", "message"),
    [
        ("mlm", False, "says `pretrained: mlm`, but the job was given no checkpoint; its family's rule must hand"),
        (None, True, "says `pretrained: None`, but the job was given "),
    ],
)
def test_there_is_no_silent_fall_back(job, wanted, given, message):
    with pytest.raises(ContractError) as error:
        job(wanted, job.weights if given else None)
    assert message in str(error.value)
    assert json.loads((job.folder / "failure.json").read_text())["error"] == "ContractError"
