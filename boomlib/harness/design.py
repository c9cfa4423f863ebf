"""Feature tables -> design matrices of the tabular models. Everything fitted here is fitted on train."""

import numpy as np
import scipy.sparse as sp

from boomlib.harness.columns import stack_columns
from boomlib.harness.composition import count_elements
from boomlib.harness.interface import Molecules


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

    def transform(self, molecules: Molecules) -> np.ndarray:
        """Counts of the vocabulary's environments, float64 [n, vocabulary]; others are left out."""
        row, identifier, count = self.entries(molecules)
        known = np.isin(identifier, self.vocabulary)
        column = np.searchsorted(self.vocabulary, identifier[known])
        shape = (len(molecules), len(self.vocabulary))
        return sp.coo_array((count[known].astype(np.float64), (row[known], column)), shape=shape).toarray()


class Winsorized:
    """Descriptors without gaps and wild values.

    A gap becomes train's median. A value is clipped to the range that train shows, widened on both sides by
    ``margin`` times its width: one wild value can spoil a linear model's whole test error, but clipping right at
    train's extremes forbids it to extrapolate (csd10k/hof, OOD RMSE of ridge: 24 kcal/mol clipped at the
    extremes, 17 with a margin of 1). Columns that are constant on train are dropped.
    """

    def __init__(self, margin: float) -> None:
        self.margin = margin

    def fit(self, values: np.ndarray) -> "Winsorized":
        """Learn medians and ranges from train's ``values``, [n, columns]."""
        self.columns = np.flatnonzero([len(np.unique(column[~np.isnan(column)])) > 1 for column in values.T])
        values = values[:, self.columns]
        self.median = np.nanmedian(values, axis=0)
        low, high = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
        self.low, self.high = low - self.margin * (high - low), high + self.margin * (high - low)
        return self

    def transform(self, values: np.ndarray) -> np.ndarray:
        """Filled and clipped values of the columns that vary on train."""
        values = values[:, self.columns]
        return np.clip(np.where(np.isnan(values), self.median, values), self.low, self.high)


class LinearDesign:
    """Columns of a linear model: elements and environments, and descriptors if wanted.

    For an extensive property counts enter as they are, so that the model is a sum over atoms; for an intensive
    one they are divided by the number of atoms (environments: heavy atoms), so that it is a mean. Elements and
    descriptors are scaled to unit variance on train; environments are only centred, so that the penalty
    holds back the rare ones.
    """

    def __init__(self, kind: str, radius: int, min_molecules: int, margin: float | None) -> None:
        self.kind, self.environments = kind, Environments(radius, min_molecules)
        self.winsorized = None if margin is None else Winsorized(margin)

    def columns(self, molecules: Molecules) -> np.ndarray:
        """Unscaled columns: elements, descriptors (if wanted), environments."""
        elements, environments = count_elements(molecules), self.environments.transform(molecules)
        if self.kind == "intensive":
            atoms = elements.sum(axis=1, keepdims=True)
            heavy = np.maximum(atoms - elements[:, :1], 1)
            elements, environments = elements / atoms, environments / heavy * self.mean_heavy
        blocks = [elements, environments]
        if self.winsorized is not None:
            blocks.insert(1, self.winsorized.transform(read_descriptors(molecules)))
        return np.hstack(blocks)

    def fit(self, train: Molecules) -> "LinearDesign":
        """Learn vocabulary, ranges, means and scales from train."""
        self.environments.fit(train)
        if self.winsorized is not None:
            self.winsorized.fit(read_descriptors(train))
        elements = count_elements(train)
        # environments per heavy atom keep the magnitude of counts, and with it the meaning of one penalty
        self.mean_heavy = float(elements[:, 1:].sum(axis=1).mean())
        columns = self.columns(train)
        deviation = columns.std(axis=0)
        self.varies = deviation > 1e-12
        deviation[columns.shape[1] - len(self.environments.vocabulary) :] = 1.0
        self.mean, self.scale = columns.mean(axis=0)[self.varies], deviation[self.varies]
        return self

    def transform(self, molecules: Molecules) -> np.ndarray:
        """Design matrix, float64 [n, columns that vary on train]."""
        return (self.columns(molecules)[:, self.varies] - self.mean) / self.scale
