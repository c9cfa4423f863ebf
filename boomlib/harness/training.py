"""One way to train a network: seeded by epoch, resumed after a kill, the best epoch by RMSE on valid."""

import logging
import pickle
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import pandas as pd
import torch
from lightning.pytorch.callbacks import Checkpoint, EarlyStopping
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import nn
from torch.optim.swa_utils import AveragedModel

from boomlib.files import ContractError, atomic_path, commit
from boomlib.harness.interface import STATE, write_history
from boomlib.progress import Progress

logger = logging.getLogger(__name__)


class Trainee(lightning.LightningModule):
    """A network with its optimiser. A subclass adds ``training_step`` and the figures of valid.

    Args:
        network: what is trained.
        optimise: network -> what Lightning's ``configure_optimizers`` returns.
        average: the average of the network's weights over the steps that is judged in place of the weights themselves.
    """

    def __init__(
        self, network: nn.Module, optimise: Callable[[nn.Module], dict], average: AveragedModel | None = None
    ) -> None:
        super().__init__()
        self.network, self.optimise, self.average = network, optimise, average
        self.trained_on = "cpu"
        """Where training ran, as PyTorch names it."""

    @property
    def judged(self) -> nn.Module:
        """The network whose figures on valid count, and whose weights are kept."""
        return self.network if self.average is None else self.average.module

    def configure_optimizers(self) -> dict:
        """The optimiser and its schedule."""
        return self.optimise(self.network)

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the gradient's norm; Lightning's own way refuses a fused optimiser in mixed precision."""
        if gradient_clip_val is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), gradient_clip_val)

    def on_train_start(self) -> None:
        """Note where it runs."""
        self.trained_on = str(self.device)

    def on_train_batch_end(self, outputs: object, batch: object, batch_idx: int) -> None:
        """Let the average follow."""
        if self.average is not None:
            self.average.update_parameters(self.network)


class Epochs(lightning.LightningDataModule):
    """Batches made anew for each epoch, by a function of the epoch alone: a resumed training sees the same ones."""

    def __init__(self, train: Callable[[int], Iterable], valid: Callable[[], Iterable]) -> None:
        super().__init__()
        self.train, self.valid = train, valid

    def train_dataloader(self) -> Iterable:
        """Batches of the current epoch."""
        return self.train(self.trainer.current_epoch)

    def val_dataloader(self) -> Iterable:
        """Batches of valid."""
        return self.valid()


class History(lightning.Callback):
    """Collects what a module logs and what ``follow`` predicts, once an epoch, through interruptions."""

    def __init__(self, seed: int, follow: Callable[[], np.ndarray] | None = None) -> None:
        self.seed, self.follow = seed, follow
        self.rows: list[dict[str, float]] = []
        self.predictions: list[torch.Tensor] = []

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: object, batch_idx: int
    ) -> None:
        """Seed dropout and the like by seed and epoch, so that a resumed training goes on as if never interrupted."""
        # not when the epoch starts: a loader may yet draw a seed for its workers, and does not where training resumes
        if batch_idx == 0:
            total = trainer.num_training_batches
            self.progress = Progress(
                f"epoch {trainer.current_epoch + 1}", "batch", total if isinstance(total, int) else None, logging.DEBUG
            )
            torch.manual_seed(np.random.SeedSequence([self.seed, trainer.current_epoch]).generate_state(1)[0])

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
    ) -> None:
        """Say how far a long epoch is."""
        self.progress.advance()

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Keep the epoch's figures and predictions."""
        figures = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self.rows.append({"epoch": trainer.current_epoch + 1, **figures})
        shown = ", ".join(f"{name} {value:.4g}" for name, value in figures.items() if name.startswith("valid"))
        logger.info("epoch %d of %d: %s", trainer.current_epoch + 1, trainer.max_epochs, shown)
        if self.follow is not None:
            pl_module.eval()
            self.predictions.append(torch.as_tensor(self.follow()))
            pl_module.train()

    def state_dict(self) -> dict:
        """What the state to go on from keeps."""
        return {"rows": self.rows, "predictions": self.predictions}

    def load_state_dict(self, state_dict: dict) -> None:
        """Go on from there."""
        self.rows, self.predictions = state_dict["rows"], state_dict["predictions"]


class Stop(EarlyStopping):
    """Ends a training that no longer improves on valid; one that was killed just then ends there too when resumed.

    An epoch whose figure is no number is one without improvement, and does not end training by itself.
    """

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Do not begin another epoch."""
        trainer.should_stop = self.wait_count >= self.patience


class Keep(Checkpoint):
    """Keeps the weights of the best epoch and, after each, the state that training goes on from.

    Lightning's ModelCheckpoint knows its best epoch by its path, and forgets it when the folder has been moved.

    Args:
        folder: where both lie.
        monitor: the figure by which an epoch is judged; less is better.
    """

    def __init__(self, folder: Path, monitor: str) -> None:
        self.best, self.last, self.monitor = folder / "best.pt", folder / "last.ckpt", monitor
        self.least = float("inf")

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: Trainee) -> None:
        """Write the weights first: killed in between, the epoch is run again and they are written again."""
        figure = float(trainer.callback_metrics[self.monitor])
        if figure < self.least:
            self.least = figure
            torch.save(pl_module.judged.state_dict(), atomic_path(self.best))
            commit(self.best)
        trainer.save_checkpoint(atomic_path(self.last))
        commit(self.last)

    def state_dict(self) -> dict:
        """What the state to go on from keeps."""
        return {"least": self.least}

    def load_state_dict(self, state_dict: dict) -> None:
        """Go on from there."""
        self.least = state_dict["least"]


class PlainState(TorchCheckpointIO):
    """Reads the state that a training goes on from as tensors and plain values, so that reading it runs no code."""

    def load_checkpoint(self, path: str | Path, *args: object, **options: object) -> dict:
        """Read; raises what :func:`read_state` raises."""
        return read_state(path)


def read_state(path: str | Path) -> dict:
    """The state that a training goes on from.

    Raises:
        ContractError: the file holds anything but tensors and plain values, or is broken.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ContractError(
            f"{path}: not read, since it is broken or holds more than tensors and plain values, and no other "
            "pickle is opened; delete the file and run again, then training starts anew"
        ) from error


def count_epochs(training: Mapping[str, Any], molecules: int) -> int:
    """Passes over ``molecules`` of train: ``epochs``, or if ``molecules_seen`` is given as many as come next to it.

    Whole ones, and at least one, since rates fall and valid is looked at by the epoch.
    """
    seen = training.get("molecules_seen")
    return training["epochs"] if seen is None else max(1, round(seen / molecules))


def choose_device() -> torch.device:
    """The GPU if one is visible, else the CPU: where networks are trained and where they predict."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def freeze(network: nn.Module) -> nn.Module:
    """Ready a network for prediction, where it was trained and in double precision.

    What else is in a batch then changes nothing that a reader would see.
    """
    return network.to(choose_device()).double().eval().requires_grad_(False)


def announce_device(device: torch.device) -> None:
    """Say in the job's log where training runs, but not what Lightning merely advises."""
    on_gpu = device.type == "cuda"
    logger.info(f"training on {torch.cuda.get_device_name() if on_gpu else 'the CPU: no GPU is visible'}")
    # batches come from memory, so that workers would only copy them; a folder that is not empty is what resuming needs
    warnings.filterwarnings("ignore", r".*(does not have many workers|exists and is not empty)")
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)


def make_trainer(
    callbacks: list[lightning.Callback], epochs: int, clip: float | None, bfloat16: bool
) -> lightning.Trainer:
    """Lightning's trainer for one process on one device; see :func:`fit_module`."""
    device = choose_device()
    announce_device(device)
    return lightning.Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=1,
        precision="bf16-mixed" if bfloat16 and device.type == "cuda" else "32-true",
        # a GPU adds up in any order unless told not to; where an operation has no other way, its log says so
        deterministic="warn" if device.type == "cuda" else None,
        max_epochs=epochs,
        gradient_clip_val=clip,
        reload_dataloaders_every_n_epochs=1,
        num_sanity_val_steps=0,
        callbacks=callbacks,
        enable_progress_bar=False,
        # one process, also where SLURM's variables say what Lightning would take for a cluster and requeue by itself
        plugins=[LightningEnvironment(), PlainState()],
        logger=False,
        enable_model_summary=False,
    )


def fit_module(
    module: Trainee,
    train: Callable[[int], Iterable],
    valid: Callable[[], Iterable],
    folder: Path,
    *,
    epochs: int,
    seed: int,
    clip: float | None,
    follow: Callable[[], np.ndarray] | None = None,
    patience: int | None = None,
    monitor: str = "valid_rmse",
    bfloat16: bool = False,
) -> list[np.ndarray]:
    """Train ``module``, which logs ``monitor``, and leave its network as it was in the epoch where that is least.

    The state lies in ``folder/state`` until :func:`boomlib.harness.job.train_and_predict` is done; a job that
    starts again with the same folder, wherever that has been moved, goes on from there and ends with the same weights.

    Args:
        module: module to train.
        train: batches of an epoch, counted from 0.
        valid: batches of valid.
        folder: the run's folder; ``history.csv`` goes there.
        epochs: passes over train.
        seed: seed of whatever the module draws.
        clip: largest norm of the gradient; None: any.
        follow: predictions of molecules without labels by the module as it is, for the learning curves.
        patience: epochs in a row without a better ``monitor`` after which training ends; None: never.
        monitor: figure by which the best epoch is chosen.
        bfloat16: whether matrix products run in bfloat16 on a GPU.

    Returns:
        What ``follow`` returned after each epoch.

    Raises:
        FloatingPointError: training has diverged: ``monitor`` was never a number.
    """
    keep, history = Keep(folder / STATE, monitor), History(seed, follow)
    # training ends by what valid says before the state is written that says so
    stop = [] if patience is None else [Stop(monitor, patience=patience, check_finite=False)]
    trainer = make_trainer([history, *stop, keep], epochs, clip, bfloat16)
    resumed = keep.last if keep.last.exists() else None
    trainer.fit(module, datamodule=Epochs(train, valid), ckpt_path=resumed, weights_only=True)
    if not keep.best.exists():
        raise FloatingPointError(f"training has diverged: {monitor} was never a number; lower the learning rate")
    module.network.load_state_dict(torch.load(keep.best, map_location="cpu", weights_only=True))
    columns = list(history.rows[0])
    write_history(folder, columns, [[row[name] for name in columns] for row in history.rows])
    return [each.numpy() for each in history.predictions]


def join_histories(first: Path, folder: Path) -> None:
    """Put the rows of an earlier phase before those of ``history.csv``, and number the epochs on."""
    tables = [pd.read_csv(each / "history.csv") for each in (first, folder)]
    tables[1]["epoch"] += len(tables[0])
    joined = pd.concat(tables)
    write_history(folder, list(joined.columns), joined.itertuples(index=False))
