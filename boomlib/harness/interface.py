"""The interface of every model, and the molecules as a model sees them."""

import csv
import importlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow as pa

from boomlib.contracts import EPOCHS, write_table
from boomlib.files import atomic_path, commit

STATE = "state"  # a run's subfolder while a model trains: what it goes on from when it was killed

MEMBERS = "members"
"""Predictions of other models in native units, a column a model by its name; NaN for train, which none predicts."""


@dataclass(frozen=True)
class Molecules:
    """A set of molecules with what a model may know of them.

    Attributes:
        molecule_id: int64 [n].
        smiles: str [n].
        y: labels in native units, float64 [n]; NaN where the model may not see them.
        features: feature tables by name, rows aligned with ``molecule_id``; of a model with members also
            :data:`MEMBERS`.
    """

    molecule_id: np.ndarray
    smiles: np.ndarray
    y: np.ndarray
    features: Mapping[str, pa.Table] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.molecule_id)

    def take(self, rows: np.ndarray) -> "Molecules":
        """The molecules at positions ``rows`` (int or bool), in that order."""
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        features = {name: table.take(pa.array(rows)) for name, table in self.features.items()}
        return Molecules(self.molecule_id[rows], self.smiles[rows], self.y[rows], features)


@dataclass(frozen=True)
class Prediction:
    """Predicted values in native units, float64 [n], and optionally their standard deviations."""

    mean: np.ndarray
    std: np.ndarray | None = None


class Model(ABC):
    """A property model. A subclass is one file; its hyper-parameters are keyword arguments of ``__init__``.

    Args:
        kind: ``extensive`` or ``intensive``; the model reads out a sum or a mean over atoms accordingly.
        seed: seed of everything random in the model; two fits with one seed predict the same bits.
        threads: processors that the job was given. Results must not depend on it.
        observable: which quantity the property is, for a model that knows it: ``dipole_moment`` (a norm, D),
            ``electronic_spatial_extent`` (⟨R²⟩, bohr²), ``mass_density`` or None for any other.
    """

    unlabelled: Molecules | None = None
    """Molecules that will be predicted, without labels but on valid: for learning curves, see :func:`write_epochs`."""

    checkpoint: Path | None = None
    """Folder of the checkpoint that :meth:`fit` starts from, for a model that can; None is from scratch."""

    facts: Mapping[str, str | None] = MappingProxyType({})
    """What ``run.json`` says of the fitted model beside its settings. The leaderboard shows ``pretrained``, the source
    of the weights that training started from (None: from scratch); a model without such a choice has no such key."""

    trained_on: str = "cpu"
    """Where :meth:`fit` trained, as PyTorch names it."""

    device: str = "cpu"
    """Where the fitted model is and predicts."""

    def __init__(self, *, kind: str, seed: int, threads: int = 1, observable: str | None = None) -> None:
        self.kind, self.seed, self.threads, self.observable = kind, seed, threads, observable

    def find_unreadable(self, molecules: Molecules) -> dict[int, str]:
        """Why the model cannot read some of these molecules: their position and the reason; here it can read all.

        Asked of every molecule of the task, whatever its fold, before :meth:`fit`.
        """
        return {}

    @abstractmethod
    def fit(self, train: Molecules, valid: Molecules, folder: Path) -> None:
        """Fit to ``train``; choose hyper-parameters or epochs by the RMSE on ``valid`` of what is learnt.

        ``folder`` outlives a killed job: the state to go on from and ``history.csv`` go there.
        """

    @abstractmethod
    def predict(self, molecules: Molecules) -> Prediction:
        """Predict molecules without labels."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the fitted model into ``folder``."""

    @abstractmethod
    def load(self, folder: Path) -> None:
        """Read back what :meth:`save` wrote, into a model made with the same arguments."""


class PolicyModel(Model):
    """A model that also evaluates a policy; its descriptor says ``answers_policy``."""

    @abstractmethod
    def policy(self, molecules: Molecules) -> pa.Table:
        """What the model says of the policy, a row a molecule: :data:`boomlib.contracts.POLICY`."""


def write_history(folder: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write ``history.csv``: what a model tried or went through, and its RMSE on valid."""
    with atomic_path(folder / "history.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, lineterminator="\n").writerows([header, *rows])
    commit(folder / "history.csv")


def write_epochs(folder: Path, molecule_id: np.ndarray, predictions: Sequence[np.ndarray]) -> None:
    """Write ``epochs.parquet``: predictions after each epoch, for learning curves once training is over.

    Args:
        folder: the run's folder.
        molecule_id: int64 [n].
        predictions: an array [n] for each epoch, in native units.
    """
    n = len(molecule_id)
    columns = {
        "molecule_id": pa.array(np.tile(molecule_id, len(predictions))),
        "epoch": pa.array(np.repeat(np.arange(1, len(predictions) + 1, dtype=np.int32), n)),
        "y_pred": pa.array(np.concatenate(predictions).astype(np.float64)),
    }
    write_table(pa.table(columns), folder / "epochs.parquet", EPOCHS)


def find_model_class(name: str) -> type[Model]:
    """The class called ``module.Class`` inside :mod:`boomlib.models`."""
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(f"boomlib.models.{module}"), attribute)  # type: ignore[no-any-return]  # getattr is Any
