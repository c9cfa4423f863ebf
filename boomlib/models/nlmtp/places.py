"""The policy with a place: molecules as their groups, and the insertions of a CH2 as changes of these.

A molecule is here its context x, its mass a and its groups G, counts of atom environments up to radius 1. An insertion
at a place s changes them to x + Δx(s), a + δ and G + ΔG(s), as the feature ``insertions`` says; Δx is 0 for most.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from boomlib.features.context import CONTEXT_SETS
from boomlib.harness.batches import pad
from boomlib.harness.design import Blocks, Environments
from boomlib.harness.interface import Molecules
from boomlib.harness.ragged import send
from boomlib.harness.ridge import HalfSparseRows, Halves, fit_ridge

UNKNOWN, FIRST = 1, 2  # groups in a bag: 0 is padding, then one that train hardly has, then the vocabulary
MIN_MOLECULES = 3  # of train that must have a group
PENALTIES = tuple(10.0 ** (k / 2) for k in range(-6, 11))


@dataclass(frozen=True)
class Insertions:
    """Insertions of one CH₂ into n molecules, m in all.

    Attributes:
        molecule: position of the molecule that each is an insertion into, int64 [m], ascending.
        group: groups that change, int64 [m, most], 0 behind the end.
        change: by how much, float32 [m, most].
        context: change of the standardised covariates, float32 [m, columns].
        line: what the linear path says of the insertion, float32 [m].
        known: whether train has every group that comes to be, bool [m].
    """

    molecule: Tensor
    group: Tensor
    change: Tensor
    context: Tensor
    line: Tensor
    known: Tensor

    def __len__(self) -> int:
        return len(self.molecule)

    def take(self, rows: Tensor) -> "Insertions":
        """Those at positions ``rows``."""
        return Insertions(*(getattr(self, field.name)[rows] for field in fields(self)))

    def to(self, device: torch.device, dtype: torch.dtype | None = None) -> "Insertions":
        """The same on another device, whole numbers apart in another precision."""
        moved = (send(getattr(self, field.name), device) for field in fields(self))
        return Insertions(*(each.to(dtype if dtype and each.is_floating_point() else each.dtype) for each in moved))

    def draw(self, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """One insertion of each molecule at positions ``rows``, each as likely; -1 of a molecule without any."""
        molecule = self.molecule.numpy()
        first, last = (np.searchsorted(molecule, rows, side) for side in ("left", "right"))
        chosen = first + (rng.random(len(rows)) * (last - first)).astype(int)
        return np.where(last > first, chosen, -1)


class GroupPath:
    """The linear path of the outcome given context, mass and groups: a ridge regression, penalty chosen on valid."""

    def __init__(self) -> None:
        self.environments = Environments(1, MIN_MOLECULES)

    def fit(
        self,
        train: Molecules,
        valid: Molecules,
        z: np.ndarray,
        z_valid: np.ndarray,
        standardised: Callable[[Molecules], tuple[np.ndarray, np.ndarray]],
    ) -> np.ndarray:
        """Learn vocabulary and weights.

        Args:
            train: molecules with their features.
            valid: likewise.
            z: outcome of train, [n].
            z_valid: that of valid.
            standardised: scaled covariates [n, columns] and treatment [n] of molecules, centred on train.

        Returns:
            What the path says of each molecule of train when it is left out of the fit, [n].
        """
        self.mean = np.asarray(self.environments.fit(train).count(train).mean(axis=0)).ravel()

        def columns(molecules: Molecules) -> Halves:
            x, a = standardised(molecules)
            return Halves(np.column_stack([x, a]), self.environments.count(molecules), self.mean)

        rows, rows_valid = (HalfSparseRows(Blocks(each, columns)) for each in (train, valid))
        fitted = fit_ridge(rows, z, rows_valid, z_valid, PENALTIES)
        self.weights, self.intercept = fitted.weights, fitted.intercept
        self.spread = max(1e-6, float(fitted.leave_one_out.std()))
        return z - fitted.leave_one_out

    @property
    def size(self) -> int:
        """Groups of a bag, with padding and the unknown one."""
        return FIRST + len(self.environments.vocabulary)

    def name(self, identifier: np.ndarray) -> np.ndarray:
        """Environments -> groups of a bag, int64 of the same shape."""
        vocabulary = self.environments.vocabulary
        known = np.isin(identifier, vocabulary)
        return np.where(known, FIRST + np.searchsorted(vocabulary, identifier), UNKNOWN)

    def level(self, molecules: Molecules, x: np.ndarray, a: np.ndarray) -> np.ndarray:
        """What the path says of molecules with standardised covariates x [n, columns] and treatment a [n], [n]."""
        rows = Halves(np.column_stack([x, a]), self.environments.count(molecules), self.mean)
        return rows @ self.weights + self.intercept

    def bags(self, molecules: Molecules) -> tuple[Tensor, Tensor]:
        """Groups of molecules, int64 [n, most], and their counts, float32 [n, most]."""
        row, identifier, count = self.environments.entries(molecules)
        ends = np.cumsum(np.bincount(row, minlength=len(molecules)))
        return pad_lists(self.name(identifier), ends), pad_lists(count, ends).float()

    def find_insertions(self, table: pa.Table, columns: np.ndarray, scale: np.ndarray, shift: float) -> Insertions:
        """Insertions into molecules.

        Args:
            table: their rows of the feature ``insertions``.
            columns: which columns of the context are covariates.
            scale: their deviation on train.
            shift: standardised δ.
        """
        sizes = table["product"].combine_chunks().value_lengths().to_numpy()
        molecule = np.repeat(np.arange(len(sizes)), sizes)
        values = {
            name: table[name].combine_chunks().flatten().to_numpy() for name in table.column_names if name != "product"
        }
        ends = np.cumsum(values["environments"], dtype=np.int64)
        group, change = self.name(values["environment"]), values["change"].astype(np.float64)
        step = np.zeros((len(molecule), len(CONTEXT_SETS["homologous"])))
        np.add.at(step, (np.repeat(np.arange(len(molecule)), values["columns"]), values["column"]), values["step"])
        step = step[:, columns] / scale
        which = np.repeat(np.arange(len(molecule)), values["environments"])
        weight = np.concatenate([np.zeros(FIRST), self.weights[len(columns) + 1 :]])
        line = step @ self.weights[: len(columns)] + shift * self.weights[len(columns)]
        line += np.bincount(which, change * weight[group], minlength=len(molecule))
        comes = np.bincount(which, (group == UNKNOWN) & (change > 0), minlength=len(molecule))
        return Insertions(
            torch.as_tensor(molecule),
            pad_lists(group, ends),
            pad_lists(change, ends).float(),
            torch.as_tensor(step, dtype=torch.float32),
            torch.as_tensor(line, dtype=torch.float32),
            torch.as_tensor(comes == 0),
        )


def pad_lists(values: np.ndarray, ends: np.ndarray) -> Tensor:
    """Lists behind each other, ``ends`` says where each does, as int64 [lists, longest] with 0 behind them."""
    if not len(ends):
        return torch.zeros(0, 0, dtype=torch.long)
    return pad(np.split(values.astype(np.int64), ends[:-1]))
