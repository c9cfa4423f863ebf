"""One way to train a Lightning module: seeded by epoch, resumed after a kill, the best epoch by RMSE on valid."""

import logging
import math
import pickle
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.plugins.io import TorchCheckpointIO

from boomlib.files import ContractError
from boomlib.harness.interface import CHECKPOINTS, write_history


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
            torch.manual_seed(np.random.SeedSequence([self.seed, trainer.current_epoch]).generate_state(1)[0])

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Keep the epoch's figures and predictions."""
        figures = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self.rows.append({"epoch": trainer.current_epoch + 1, **figures})
        if self.follow is not None:
            pl_module.eval()
            self.predictions.append(torch.as_tensor(self.follow()))
            pl_module.train()

    def state_dict(self) -> dict:
        """What a checkpoint keeps."""
        return {"rows": self.rows, "predictions": self.predictions}

    def load_state_dict(self, state_dict: dict) -> None:
        """Go on from a checkpoint."""
        self.rows, self.predictions = state_dict["rows"], state_dict["predictions"]


class Stop(EarlyStopping):
    """Ends a training that no longer improves on valid; one that was killed just then ends there too when resumed."""

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Do not begin another epoch."""
        trainer.should_stop = self.wait_count >= self.patience


class PlainState(TorchCheckpointIO):
    """Keeps the state that a training goes on from as tensors and plain values, so that reading it runs no code.

    Args:
        last: that state's file. Others are written as they come.
    """

    def __init__(self, last: Path) -> None:
        self.last = last.resolve()

    def save_checkpoint(self, checkpoint: dict, path: str | Path, storage_options: object = None) -> None:
        """Write, without the arguments that made the module: they may be objects of any class."""
        if Path(path).resolve() == self.last:
            checkpoint = {name: value for name, value in checkpoint.items() if name != "hyper_parameters"}
        super().save_checkpoint(checkpoint, path, storage_options)

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


def choose_accelerator() -> str:
    """``gpu`` if one is visible, else ``cpu``. The job's log says which, but not what Lightning merely advises."""
    on_gpu = torch.cuda.is_available()
    print(f"training on {torch.cuda.get_device_name() if on_gpu else 'the CPU: no GPU is visible'}", flush=True)
    # batches come from memory, so that workers would only copy them; a folder that is not empty is what resuming needs
    warnings.filterwarnings("ignore", r".*(does not have many workers|exists and is not empty)")
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    return "gpu" if on_gpu else "cpu"


def adamw(
    parameters: Iterable[torch.nn.Parameter],
    *,
    learning_rate: float,
    weight_decay: float,
    steps: int,
    warm_up: int = 0,
) -> dict:
    """AdamW with a linear warm-up and then a cosine to 0, by step, as ``configure_optimizers`` returns it.

    Args:
        parameters: what is trained.
        learning_rate: the peak.
        weight_decay: AdamW's.
        steps: steps in all.
        warm_up: steps until the peak.
    """
    optimizer = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=weight_decay)

    def factor(step: int) -> float:
        if step < warm_up:
            return (step + 1) / warm_up
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm_up) / max(1, steps - warm_up))))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class Regression(lightning.LightningModule):
    """Trains a network on standardised labels, with AdamW: a linear warm-up, then a cosine to 0.

    Args:
        network: what is trained.
        losses: what is minimised, its mean over the molecules of a batch: batch -> [molecules].
        squared_errors: in squared standard deviations, for the RMSE on valid: batch -> [molecules]; None: losses.
        spread: one standard deviation of the labels, native units.
        learning_rate: AdamW's peak.
        weight_decay: AdamW's.
        steps: steps in all.
        warm_up: steps until the peak.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        losses: Callable[..., torch.Tensor],
        squared_errors: Callable[..., torch.Tensor] | None = None,
        *,
        spread: float,
        learning_rate: float,
        weight_decay: float,
        steps: int,
        warm_up: int = 0,
    ) -> None:
        super().__init__()
        self.network, self.losses, self.squared_errors = network, losses, squared_errors or losses
        self.spread, self.learning_rate, self.weight_decay = spread, learning_rate, weight_decay
        self.steps, self.warm_up = steps, warm_up
        self.squares: list[torch.Tensor] = []

    def training_step(self, batch: object) -> torch.Tensor:
        """Mean loss of one batch."""
        losses = self.losses(batch)
        loss = losses.mean()
        self.log("loss", loss, on_step=False, on_epoch=True, batch_size=len(losses))
        return loss

    def validation_step(self, batch: object) -> None:
        """Squared errors of one batch of valid."""
        self.squares.append(self.squared_errors(batch))

    def on_validation_epoch_end(self) -> None:
        """RMSE on valid, native units."""
        self.log("valid_rmse", self.spread * torch.cat(self.squares).mean().sqrt())
        self.squares.clear()

    def configure_optimizers(self) -> dict:
        """AdamW with its schedule."""
        return adamw(
            self.network.parameters(),
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            steps=self.steps,
            warm_up=self.warm_up,
        )


def fit_module(
    module: lightning.LightningModule,
    train: Callable[[int], Iterable],
    valid: Callable[[], Iterable],
    folder: Path,
    *,
    epochs: int,
    seed: int,
    clip: float,
    follow: Callable[[], np.ndarray] | None = None,
    patience: int | None = None,
    monitor: str = "valid_rmse",
) -> list[np.ndarray]:
    """Train ``module``, which logs ``monitor``, and leave it with the weights of the epoch where that was least.

    Checkpoints lie in ``folder/checkpoints`` until :func:`boomlib.harness.job.train_and_predict` is done; a job that
    starts again with the same folder continues from the last one and ends with the same weights. On a GPU matrix
    products run in bfloat16.

    Args:
        module: module to train.
        train: batches of an epoch, counted from 0.
        valid: batches of valid.
        folder: the run's folder; ``history.csv`` goes there.
        epochs: passes over train.
        seed: seed of whatever the module draws.
        clip: largest norm of the gradient.
        follow: predictions of molecules without labels by the module as it is, for the learning curves.
        patience: epochs in a row without a better ``monitor`` after which training ends; None: never.
        monitor: figure by which the best epoch is chosen.

    Returns:
        What ``follow`` returned after each epoch.
    """
    kept = folder / CHECKPOINTS
    best = ModelCheckpoint(kept, "best", monitor=monitor, enable_version_counter=False)
    # not save_last of the other, which saves the epochs that improve alone
    latest = ModelCheckpoint(kept, "last", enable_version_counter=False)
    history = History(seed, follow)
    callbacks = [history, best, latest, TQDMProgressBar(refresh_rate=20)]
    if patience is not None:
        callbacks.append(Stop(monitor, patience=patience))
    accelerator, last = choose_accelerator(), kept / "last.ckpt"
    trainer = lightning.Trainer(
        accelerator=accelerator,
        devices=1,
        precision="bf16-mixed" if accelerator == "gpu" else "32-true",
        max_epochs=epochs,
        gradient_clip_val=clip,
        reload_dataloaders_every_n_epochs=1,
        num_sanity_val_steps=0,
        callbacks=callbacks,
        # one process, also where SLURM's variables say what Lightning would take for a cluster and requeue by itself
        plugins=[LightningEnvironment(), PlainState(last)],
        logger=False,
        enable_model_summary=False,
    )
    trainer.fit(module, datamodule=Epochs(train, valid), ckpt_path=last if last.exists() else None, weights_only=True)
    state = torch.load(best.best_model_path, map_location="cpu", weights_only=True)["state_dict"]
    module.load_state_dict(state)
    module.cpu()
    columns = list(history.rows[0])
    write_history(folder, columns, [[row[name] for name in columns] for row in history.rows])
    return [each.numpy() for each in history.predictions]
