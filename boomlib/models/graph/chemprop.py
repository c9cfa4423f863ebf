"""Chemprop 2 by its own command line, run in this process: a graph network whose messages pass along directed bonds.

Heid et al., J. Chem. Inf. Model. 2024, 64, 9 (the program); Yang et al., J. Chem. Inf. Model. 2019, 59, 3370 (D-MPNN).
"""

import contextlib
import functools
import shlex
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace

import joblib
import lightning
import numpy as np
import pandas as pd
import torch
from chemprop.cli import predict as predict_cli
from chemprop.cli import train as train_cli
from chemprop.cli.main import construct_parser
from lightning.pytorch.callbacks import ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.plugins.environments import LightningEnvironment
from torch.utils.data import DataLoader

from boomlib.harness.design import element_counts
from boomlib.harness.interface import CHECKPOINTS, Model, Molecules, Prediction, write_history
from boomlib.harness.references import References
from boomlib.harness.training import History, PlainState, choose_accelerator, read_state

AGGREGATION = {"extensive": "sum", "intensive": "mean"}


class ResumingTrainer(lightning.Trainer):
    """The trainer of ``chemprop train``, which has no resume of its own, with a checkpoint an epoch to go on from.

    Args:
        folder: where that checkpoint lies.
        history: collects the figures of each epoch.
        callbacks: Chemprop's, among them the one that keeps the best epoch.
        options: what else Chemprop asks for.
    """

    def __init__(self, folder: Path, history: History, *, callbacks: list[lightning.Callback], **options) -> None:
        latest = ModelCheckpoint(folder, "last", save_on_train_epoch_end=True, enable_version_counter=False)
        options |= {"logger": False, "num_sanity_val_steps": 0, "enable_model_summary": False}
        self.last = folder / "last.ckpt"
        callbacks = [*callbacks, history, latest, TQDMProgressBar(refresh_rate=20)]
        super().__init__(callbacks=callbacks, plugins=[LightningEnvironment(), PlainState(self.last)], **options)

    def fit(self, model: lightning.LightningModule, train: DataLoader, valid: DataLoader) -> None:
        """Train from the start or from the last epoch, with the batches that it would have had anyway."""
        resumed = self.last.exists()
        if resumed:
            # Chemprop's sampler shuffles what the epoch before has shuffled
            for _ in range(read_state(self.last)["epoch"] + 1):
                iter(train.sampler)
        super().fit(model, train, valid, ckpt_path=self.last if resumed else None, weights_only=True)


class DoublePrecision(lightning.Callback):
    """Predicts in double precision: what else is in a batch then changes nothing.

    Lightning's own (``precision="64-true"``) leaves Chemprop's batches of graphs in single precision.
    """

    def on_predict_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Convert the network."""
        pl_module.double()

    def on_predict_batch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, *batch) -> None:
        """Convert features of atoms and bonds."""
        graphs = batch[0].bmg
        graphs.V, graphs.E = graphs.V.double(), graphs.E.double()


def predicting_trainer(**options) -> lightning.Trainer:
    """The trainer of ``chemprop predict``, in double precision and silent."""
    changes = {"callbacks": DoublePrecision(), "enable_progress_bar": False, "enable_model_summary": False}
    return lightning.Trainer(plugins=LightningEnvironment(), **options | changes)


@contextlib.contextmanager
def substituted_trainer(subcommand: ModuleType, trainer: Callable[..., lightning.Trainer]) -> Iterator[None]:
    """Let a module of Chemprop's command line use another trainer; undo that and what a trainer sets globally."""
    original, deterministic = subcommand.pl, torch.are_deterministic_algorithms_enabled()
    subcommand.pl = SimpleNamespace(Trainer=trainer)
    try:
        yield
    finally:
        subcommand.pl = original
        torch.use_deterministic_algorithms(deterministic)


def run_chemprop(command: Sequence[str], subcommand: ModuleType, trainer: Callable[..., lightning.Trainer]) -> None:
    """What ``chemprop.cli.main.main`` does, with another trainer and without taking over the process's logging.

    Args:
        command: the arguments behind ``chemprop``.
        subcommand: the module of the command line that makes the trainer.
        trainer: makes it.

    Raises:
        ValueError: the command line refuses the arguments; it has written why to standard error.
    """
    try:
        arguments = construct_parser().parse_args(command)
    except SystemExit:
        raise ValueError(f"refused, see above: chemprop {shlex.join(command)}") from None
    run = arguments.func
    for name in ("logfile", "v", "q", "mode", "func"):
        delattr(arguments, name)
    with substituted_trainer(subcommand, trainer):
        run(arguments)


class Chemprop(Model):
    """D-MPNN on bonds, with hydrogens as a property of their atom; molecules need the feature ``elements``.

    Chemprop learns what :class:`boomlib.harness.references.References` leave of the labels, in standard deviations, so
    that its own scaler changes nothing.

    Args:
        reference: ``elements``, or ``mean``, which is Chemprop's own scaler alone.
        options: of ``chemprop train``, by their names there with underscores.
    """

    def __init__(self, *, reference: str, options: dict, **common) -> None:
        super().__init__(**common)
        self.references, self.options = References(reference), options

    def composition(self, molecules: Molecules) -> np.ndarray:
        """Atoms of each element, or their fraction for an intensive property, float64 [n, 118]."""
        counts = element_counts(molecules)
        return counts if self.kind == "extensive" else counts / counts.sum(axis=1, keepdims=True)

    def write_data(self, train: Molecules, valid: Molecules, path: Path) -> None:
        """Fit the references to train and write what :meth:`train_command` trains on."""
        self.references.fit(self.composition(train), train.y)
        parts = [
            {"smiles": part.smiles, "y": self.references.transform(self.composition(part), part.y), "split": split}
            for part, split in ((train, "train"), (valid, "val"))
        ]
        pd.concat(map(pd.DataFrame, parts)).to_csv(path, index=False)

    def train_command(self, data: Path, output: Path, accelerator: str) -> list[str]:
        """Arguments of ``chemprop`` that train on a CSV with the columns ``smiles``, ``y`` and ``split`` (train, val).

        The epoch of the least RMSE on valid is kept. Training goes on to the last, as the learning rate is planned.
        """
        settings = {
            "data_path": data,
            "output_dir": output,
            "smiles_columns": "smiles",
            "target_columns": "y",
            "splits_column": "split",
            "task_type": "regression",
            "metrics": "rmse",
            "tracking_metric": "rmse",
            "aggregation": AGGREGATION[self.kind],
            "pytorch_seed": self.seed,
            "data_seed": self.seed,
            "num_workers": 0,
            "accelerator": accelerator,
            "devices": 1,
        }
        return ["train", *as_arguments(self.options | settings)]

    def predict_command(self, data: Path, model: Path, output: Path) -> list[str]:
        """Arguments of ``chemprop`` that copy a CSV with the column ``smiles`` and add the column ``y``."""
        settings = {
            "test_path": data,
            "model_paths": model,
            "output": output,
            "smiles_columns": "smiles",
            "batch_size": self.options["batch_size"],
            "num_workers": 0,
            "accelerator": "cpu",
            "devices": 1,
        }
        return ["predict", *as_arguments(settings)]

    def fit(self, train: Molecules, valid: Molecules, folder: Path) -> None:
        """Train; ``history.csv`` gets the mean squared error on train (standardised) and the RMSE on valid."""
        torch.set_num_threads(self.threads)
        kept = folder / CHECKPOINTS
        kept.mkdir(exist_ok=True)
        data, output = kept / "data.csv", kept / "chemprop"
        self.write_data(train, valid, data)
        history = History(self.seed)
        command = self.train_command(data, output, choose_accelerator())
        run_chemprop(command, train_cli, functools.partial(ResumingTrainer, kept, history))
        spread = self.references.spread
        rows = [[row["epoch"], row["train_loss_epoch"], spread * row["val/rmse"]] for row in history.rows]
        write_history(folder, ["epoch", "loss", "valid_rmse"], rows)
        self.model = (output / "model_0/best.pt").read_bytes()

    def predict(self, molecules: Molecules) -> Prediction:
        """Composition's part plus the network's."""
        with tempfile.TemporaryDirectory() as name:
            data, model, output = (Path(name, each) for each in ("data.csv", "model.pt", "predictions.csv"))
            pd.DataFrame({"smiles": molecules.smiles}).to_csv(data, index=False)
            model.write_bytes(self.model)
            run_chemprop(self.predict_command(data, model, output), predict_cli, predicting_trainer)
            z = pd.read_csv(output)["y"].to_numpy()
        return Prediction(self.references.inverse(self.composition(molecules), z))

    def save(self, folder: Path) -> None:
        """Write the model file as Chemprop wrote it, and with joblib the references (both are pickles)."""
        (folder / "model.pt").write_bytes(self.model)
        joblib.dump(self.references, folder / "references.joblib")

    def load(self, folder: Path) -> None:
        """Read both; load only files of your own."""
        self.model = (folder / "model.pt").read_bytes()
        self.references = joblib.load(folder / "references.joblib")


def as_arguments(settings: dict) -> list[str]:
    """``{"batch_size": 50}`` as ``["--batch-size", "50"]``."""
    return [text for name, value in settings.items() for text in (f"--{name.replace('_', '-')}", str(value))]
