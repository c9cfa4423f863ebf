"""Feature tables -> design matrices of the tabular models. Everything fitted here is fitted on train."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import scipy.sparse as sp

from boomlib.harness.columns import stack_columns
from boomlib.harness.composition import count_elements
from boomlib.harness.interface import Molecules
from boomlib.harness.ridge import Halves

ROWS = 1024  # molecules of a block


@dataclass(frozen=True)
class Blocks:
    """A matrix with a row a molecule, made block by block each time that it is read: memory holds one block.

    Attributes:
        molecules: all molecules.
        make: makes the rows of some of them.
    """

    molecules: Molecules
    make: Callable[[Molecules], np.ndarray | Halves]

    def __iter__(self) -> Iterator[np.ndarray | Halves]:
        n = len(self.molecules)
        return (self.make(self.molecules.take(np.arange(at, min(at + ROWS, n)))) for at in range(0, max(n, 1), ROWS))


def find_moments(blocks: Blocks) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each column, to the last bit those of the whole matrix by NumPy."""
    n = len(blocks.molecules)
    mean = add_rows(blocks) / n
    return mean, np.sqrt(add_rows((block - mean) ** 2 for block in blocks) / n)


def add_rows(blocks: Iterable[np.ndarray]) -> np.ndarray:
    """Sum of all rows, [columns], added up one after the other as NumPy does in one matrix."""
    total = None
    for block in blocks:
        total = np.add.reduce(block if total is None else np.vstack([total, block]), axis=0)
    return total


def read_descriptors(molecules: Molecules) -> np.ndarray:
    """RDKit's descriptors, float64 [n, columns]; NaN where undefined or infinite.

    ``Ipc`` grows exponentially with the size of the molecule and enters as log(1 + Ipc), as in BOOM.
    """
    table = molecules.features["descriptors"]
    values = stack_columns(table)
    ipc = table.column_names.index("Ipc")
    values[:, ipc] = np.log1p(values[:, ipc])
    values[~np.isfinite(values)] = np.nan
    return values


class Environments:
    """Counts of Morgan atom environments (columns) that train shows often enough.

    Args:
        radius: largest radius (bonds) of an environment; 1 is an atom with its neighbours, Benson's group.
        min_molecules: molecules of train that must have an environment for it to become a column.
    """

    def __init__(self, radius: int, min_molecules: int) -> None:
        self.radius, self.min_molecules = radius, min_molecules

    def entries(self, molecules: Molecules) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Row, identifier and count of each environment up to the radius, flat."""
        table = molecules.features["morgan_counts"].combine_chunks()
        lists = table["environment"].combine_chunks()
        row = np.repeat(np.arange(len(lists)), lists.value_lengths().to_numpy(zero_copy_only=False))
        identifier, radius, count = (
            table[name].combine_chunks().flatten().to_numpy() for name in ("environment", "radius", "count")
        )
        near = radius <= self.radius
        return row[near], identifier[near], count[near]

    def fit(self, train: Molecules) -> "Environments":
        """Choose the vocabulary."""
        found, molecules = np.unique(self.entries(train)[1], return_counts=True)
        self.vocabulary = found[molecules >= self.min_molecules]
        return self

    def count(self, molecules: Molecules) -> sp.csr_array:
        """Counts of the vocabulary's environments, float64 [n, vocabulary]; others are left out."""
        row, identifier, count = self.entries(molecules)
        known = np.isin(identifier, self.vocabulary)
        column = np.searchsorted(self.vocabulary, identifier[known])
        shape = (len(molecules), len(self.vocabulary))
        return sp.coo_array((count[known].astype(np.float64), (row[known], column)), shape=shape).tocsr()

    def transform(self, molecules: Molecules) -> np.ndarray:
        """The same as a dense matrix."""
        return self.count(molecules).toarray()


class Winsorized:
    """Descriptors without gaps and wild values.

    A gap becomes train's median. A value is clipped to the range that train shows, widened on both sides by
    ``margin`` times its width: one wild value can spoil a linear model's whole test error, but clipping right at
    train's extremes forbids it to extrapolate (csd10k/hof, OOD RMSE of ridge: 24 kcal/mol clipped at the
    extremes, 17 with a margin of 1). Columns that are constant on train are dropped.

    Args:
        margin: how far values may leave train's range, in widths of it.
        tails: share of train's molecules at each end, and one more, that have no say in the range, so that a wild
            value in train does not widen it; 0: all have a say.
    """

    def __init__(self, margin: float, tails: float = 0.0) -> None:
        self.margin, self.tails = margin, tails

    def find_range(self, column: np.ndarray) -> tuple[float, float]:
        """Least and largest value of a column of train without its tails."""
        known = np.sort(column[~np.isnan(column)])
        beyond = min(1 + int(self.tails * len(known)), (len(known) - 1) // 2) if self.tails else 0
        return known[beyond], known[len(known) - 1 - beyond]

    def fit(self, values: np.ndarray) -> "Winsorized":
        """Learn medians and ranges from train's ``values``, [n, columns]."""
        self.columns = np.flatnonzero([len(np.unique(column[~np.isnan(column)])) > 1 for column in values.T])
        # column by column: train may be large, and NaN-aware functions copy what they read
        kept = [values[:, column] for column in self.columns]
        self.median = np.array([np.nanmedian(column) for column in kept])
        low, high = np.array([self.find_range(column) for column in kept]).reshape(-1, 2).T
        self.low, self.high = low - self.margin * (high - low), high + self.margin * (high - low)
        return self

    def transform(self, values: np.ndarray) -> np.ndarray:
        """Filled and clipped values of the columns that vary on train."""
        values = values[:, self.columns]
        return np.clip(np.where(np.isnan(values), self.median, values), self.low, self.high)


class Columns(Protocol):
    """Columns of some feature, of which something is learnt on train."""

    def fit(self, train: Molecules) -> Self:
        """Learn."""

    def transform(self, molecules: Molecules) -> np.ndarray:
        """Float64 [n, columns], without gaps."""


class LinearDesign:
    """Columns of a linear model: elements and environments, and descriptors if wanted.

    For an extensive property counts enter as they are, so that the model is a sum over atoms; for an intensive
    one they are divided by the number of atoms (environments: heavy atoms), so that it is a mean. Elements and
    descriptors are scaled to unit variance on train; environments are only centred, so that the penalty
    holds back the rare ones.

    Args:
        kind: ``extensive`` or ``intensive``.
        radius: see :class:`Environments`.
        min_molecules: likewise.
        margin: see :class:`Winsorized`; None: no descriptors.
        more: further columns, which are scaled as descriptors are; None: none.
    """

    more: "Columns | None" = None  # a design of version 0.2.0 has none

    def __init__(
        self, kind: str, radius: int, min_molecules: int, margin: float | None, more: "Columns | None" = None
    ) -> None:
        self.kind, self.environments, self.more = kind, Environments(radius, min_molecules), more
        self.winsorized = None if margin is None else Winsorized(margin)

    def dense(self, molecules: Molecules) -> np.ndarray:
        """Unscaled columns: elements, and descriptors and others if wanted."""
        elements = count_elements(molecules)
        if self.kind == "intensive":
            elements = elements / elements.sum(axis=1, keepdims=True)
        blocks = [elements]
        if self.winsorized is not None:
            blocks.append(self.winsorized.transform(read_descriptors(molecules)))
        if self.more is not None:
            blocks.append(self.more.transform(molecules))
        return np.hstack(blocks) if len(blocks) > 1 else elements

    def sparse(self, molecules: Molecules) -> sp.csr_array:
        """Unscaled columns that are mostly zero: environments."""
        counts = self.environments.count(molecules)
        if self.kind == "intensive":
            elements = count_elements(molecules)
            heavy = np.maximum(elements.sum(axis=1) - elements[:, 0], 1)
            counts.data = counts.data / np.repeat(heavy, np.diff(counts.indptr)) * self.mean_heavy
        return counts

    def fit(self, train: Molecules) -> "LinearDesign":
        """Learn vocabulary, ranges, means and scales from train."""
        self.environments.fit(train)
        if self.winsorized is not None:
            self.winsorized.fit(read_descriptors(train))
        if self.more is not None:
            self.more.fit(train)
        elements = count_elements(train)
        # environments per heavy atom keep the magnitude of counts, and with it the meaning of one penalty
        self.mean_heavy = float(elements[:, 1:].sum(axis=1).mean())
        mean, deviation = find_moments(Blocks(train, self.dense))
        counts = self.sparse(train)
        often = counts.sum(axis=0) / len(train)
        vary = counts.max(axis=0).toarray() > counts.min(axis=0).toarray()
        self.varies = np.concatenate([deviation > 1e-12, vary])
        self.mean = np.concatenate([mean, often])[self.varies]
        self.scale = np.concatenate([deviation, np.ones(len(often))])[self.varies]
        return self

    def transform(self, molecules: Molecules) -> np.ndarray:
        """Design matrix, float64 [n, columns that vary on train]."""
        columns = np.hstack([self.dense(molecules), self.sparse(molecules).toarray()])
        return (columns[:, self.varies] - self.mean) / self.scale

    def halves(self, molecules: Molecules) -> Halves:
        """The same with environments left sparse: most of the columns, of which a molecule has few."""
        dense, sparse = self.dense(molecules), self.sparse(molecules)
        first, last = self.varies[: dense.shape[1]], self.varies[dense.shape[1] :]
        k = first.sum()
        return Halves((dense[:, first] - self.mean[:k]) / self.scale[:k], sparse[:, last], self.mean[k:])
