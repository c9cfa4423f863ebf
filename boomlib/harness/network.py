"""What all networks share: labels, batches, training, prediction, saving. A family adds what its network reads."""

import importlib.util
import logging
import os
import shutil
from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import ClassVar, NotRequired

import numpy as np
import torch
from lightning.fabric.utilities import move_data_to_device
from safetensors.torch import load_model, save_model
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from boomlib.files import ContractError
from boomlib.harness.batches import Batches, cut_into_batches
from boomlib.harness.interface import Model, Molecules, Prediction, write_epochs
from boomlib.harness.optimisers import Rates, make_adamw
from boomlib.harness.quantity import Quantity
from boomlib.harness.references import PHYSICS, Reference, make_references
from boomlib.harness.store import Store, place
from boomlib.harness.training import Trainee, choose_device, count_epochs, fit_module, freeze

logger = logging.getLogger(__name__)

READ_ON_GPU = 16  # batches that are read at once


class Training(Rates):
    """How a network is trained: AdamW with a linear warm-up, then a cosine to 0.

    ``batch``: molecules a step. ``epochs``: passes over train; ``molecules_seen`` counts instead where it is given
    (:func:`boomlib.harness.training.count_epochs`). ``clip``: largest norm of the gradient; None: any. ``patience``:
    epochs without a better RMSE on valid after which training ends; None: never.
    """

    batch: int
    epochs: int
    molecules_seen: NotRequired[int]
    clip: float | None
    patience: NotRequired[int | None]


class CompilableTraining(Training):
    """Training of a network whose own answer is what is trained.

    ``compile``: whether torch.compile fuses the network's operations, which takes a minute at first and needs a
    compiler (C++; on a GPU Triton). Dropout then draws otherwise. What is compiled for depends on the batches that
    come first, so that a training that was killed may end with other last digits.
    """

    compile: NotRequired[bool]


def compile_network(network: nn.Module) -> nn.Module:
    """The network with its operations fused; its weights are the same.

    Raises:
        ContractError: there is no compiler.
    """
    on_gpu = choose_device().type == "cuda"
    found = importlib.util.find_spec("triton") if on_gpu else shutil.which(os.environ.get("CXX", "g++"))
    if not found:
        what = "Triton" if on_gpu else "a C++ compiler (g++, or what CXX names)"
        raise ContractError(f"`compile: true` needs {what}; install it, or leave `compile` out of `training`")
    logger.info("compiling, which takes a minute or so as the first batches come")
    return torch.compile(network, dynamic=True)


def squared_errors(network: nn.Module, x: object, z: Tensor) -> Tensor:
    """Squared errors of a batch, in squared standard deviations, [molecules]."""
    return (network(x) - z).square()


class Regression(Trainee):
    """Trains a network on standardised labels; a batch is what the network reads and its labels [molecules].

    Args:
        network: what is trained.
        optimise: see :class:`boomlib.harness.training.Trainee`.
        average: likewise.
        losses: what is minimised, its mean over the molecules of a batch: x, z -> [molecules].
        spread: one standard deviation of the labels, native units.
    """

    def __init__(
        self,
        network: nn.Module,
        optimise: Callable[[nn.Module], dict],
        average: AveragedModel | None = None,
        *,
        losses: Callable[[object, Tensor], Tensor],
        spread: float,
    ) -> None:
        super().__init__(network, optimise, average)
        self.losses, self.spread = losses, spread
        self.squares: list[Tensor] = []

    def training_step(self, batch: tuple[object, Tensor]) -> Tensor:
        """Mean loss of one batch."""
        losses = self.losses(*batch)
        loss = losses.mean()
        self.log("loss", loss, on_step=False, on_epoch=True, batch_size=len(losses))
        return loss

    def validation_step(self, batch: tuple[object, Tensor]) -> None:
        """Squared errors of one batch of valid."""
        self.squares.append(squared_errors(self.judged, *batch))

    def on_validation_epoch_end(self) -> None:
        """RMSE on valid, in units of what is learnt."""
        self.log("valid_rmse", self.spread * torch.cat(self.squares).mean().sqrt())
        self.squares.clear()


class NetworkModel(Model):
    """A network on what a simple model, its reference, leaves of labels; molecules need the features that it reads.

    Args:
        reference: see :class:`boomlib.harness.references.References`.
        training: see :class:`CompilableTraining`, or a family's own.
        volume: whether a density is learnt as a volume, see :class:`boomlib.harness.quantity.Quantity`.
    """

    bfloat16: ClassVar[bool] = False
    """Whether matrix products may run in bfloat16 while training on a GPU; distances and sums over atoms do not."""

    network: nn.Module

    def __init__(self, *, reference: Reference, training: CompilableTraining, volume: bool = False, **common) -> None:
        super().__init__(**common)
        self.quantity = Quantity(self.kind, self.observable, volume, PHYSICS.get(reference))
        self.training = training
        self.kind = self.quantity.kind
        self.references = make_references(reference, self.kind)

    # -- what a family adds ------------------------------------------------------------------------------

    @abstractmethod
    def start(self, train: Molecules) -> nn.Module:
        """Learn of train what the network must know (elements, tokens), and make it, with the run's first weights.

        The network maps what :meth:`collate` makes to standardised residuals, [molecules].
        """

    @abstractmethod
    def encode(self, molecules: Molecules) -> Store:
        """What the network sees of the molecules."""

    @abstractmethod
    def collate(self, store: Store, rows: np.ndarray) -> object:
        """A batch of the molecules at these positions; Lightning can move tuples, dicts and what has ``to``."""

    @abstractmethod
    def save_start(self, folder: Path) -> None:
        """Write what :meth:`start` learnt."""

    @abstractmethod
    def load_start(self, folder: Path) -> nn.Module:
        """Read it, and make the network, whose weights come later."""

    def plan_epochs(self, train: Molecules) -> Callable[[int], tuple[Store, list[np.ndarray]]]:
        """What an epoch trains on, by its number from 0: what the network sees of train, and the rows of each batch.

        By seed and epoch alone, so that a resumed training sees the same.
        """
        store = place(self.encode(train))

        def plan(epoch: int) -> tuple[Store, list[np.ndarray]]:
            order = np.random.default_rng([self.seed, epoch]).permutation(len(train))
            return store, cut_into_batches(order, self.training["batch"])

        return plan

    @property
    def read_at_once(self) -> int:
        """Molecules of a batch without gradients."""
        return self.training["batch"]

    def group(self, store: Store, batch: int) -> list[np.ndarray]:
        """Rows of batches without gradients, of so many molecules each."""
        return cut_into_batches(np.arange(len(store)), batch)

    def optimise(self, network: nn.Module, steps: int) -> dict:
        """The optimiser for ``steps`` steps an epoch, as Lightning's ``configure_optimizers`` returns it."""
        return make_adamw(network.parameters(), self.training, self.training["epochs"] * steps)

    def average(self, network: nn.Module) -> AveragedModel | None:
        """The average of the weights that is judged and kept; None: the weights themselves."""
        return None

    def losses(self, network: nn.Module, x: object, z: Tensor) -> Tensor:
        """What is minimised, its mean over the molecules of a batch, [molecules]."""
        return squared_errors(network, x, z)

    # -- the interface -----------------------------------------------------------------------------------

    @property
    def device(self) -> str:
        """Where the network is."""
        return str(next(self.network.parameters()).device)

    def fit(self, train: Molecules, valid: Molecules, folder: Path) -> None:
        """Train; ``epochs.parquet`` gets each epoch's predictions of the molecules in :attr:`unlabelled`."""
        torch.set_num_threads(self.threads)
        self.training = self.training | {"epochs": count_epochs(self.training, len(train))}
        self.quantity.fit(train)
        train, valid = self.quantity.learn(train), self.quantity.learn(valid)
        self.network = self.start(train)
        left = self.references.fit_transform(train, valid), self.references.transform(valid)
        z, z_valid = (torch.as_tensor(each, dtype=torch.float32) for each in left)
        plan, judged, unlabelled = self.plan_epochs(train), place(self.encode(valid)), self.unlabelled or valid
        valid_batches = Batches(self.group(judged, self.read_at_once), partial(self.make_batch, judged, z_valid))
        followed = place(self.encode(unlabelled))
        network = compile_network(self.network) if self.training.get("compile") else self.network
        module = Regression(
            self.network,
            partial(self.optimise, steps=len(cut_into_batches(np.arange(len(train)), self.training["batch"]))),
            self.average(self.network),
            losses=partial(self.losses, network),
            spread=self.references.spread,
        )

        def batches(epoch: int) -> Batches:
            store, rows = plan(epoch)
            return Batches(rows, partial(self.make_batch, store, z))

        history = fit_module(
            module,
            batches,
            lambda: valid_batches,
            folder,
            epochs=self.training["epochs"],
            seed=self.seed,
            clip=self.training["clip"],
            follow=lambda: self.read(module.judged, followed),
            patience=self.training.get("patience"),
            bfloat16=self.bfloat16,
        )
        self.trained_on = module.trained_on
        explained, spread = self.references.predict(unlabelled), self.references.spread
        followed_values = [self.quantity.tell(unlabelled, explained + spread * each) for each in history]
        write_epochs(folder, unlabelled.molecule_id, followed_values)
        freeze(self.network)

    def make_batch(self, store: Store, z: Tensor, rows: np.ndarray) -> tuple[object, Tensor]:
        """What the network reads of the molecules at these rows, and their labels."""
        return self.collate(store, rows), z[rows]

    @torch.no_grad()
    def read(self, network: nn.Module, store: Store) -> np.ndarray:
        """Standardised residuals by a network as it is, float64 [molecules].

        A GPU, which needs no room for gradients, reads more at once, and in halves what it lacks memory for.
        """
        device, z = next(network.parameters()).device, np.empty(len(store))
        left = self.group(store, self.read_at_once * (1 if device.type == "cpu" else READ_ON_GPU))
        while left:
            rows = left.pop()
            try:
                batch = self.collate(store, rows)
                z[rows] = network(move_data_to_device(batch, device)).double().cpu().numpy()
            except torch.OutOfMemoryError:
                if len(rows) == 1:
                    raise
                left = [half for each in (*left, rows) for half in np.array_split(each, 2)]
        return z

    def predict(self, molecules: Molecules) -> Prediction:
        """The reference's part plus the network's."""
        z = self.read(self.network, place(self.encode(molecules)))
        return Prediction(self.quantity.tell(molecules, self.references.inverse(molecules, z)))

    def save(self, folder: Path) -> None:
        """Write weights (safetensors), references and what :meth:`start` learnt."""
        save_model(self.network, folder / "weights.safetensors")
        self.references.save(folder)
        self.quantity.save(folder)
        self.save_start(folder)

    def load(self, folder: Path) -> None:
        """Read them."""
        self.references.load(folder)
        self.quantity.load(folder)
        self.network = freeze(self.load_start(folder))
        load_model(self.network, folder / "weights.safetensors")
