"""Gradient-boosted trees on histograms (scikit-learn's HistGradientBoosting), stopped early on valid."""

from pathlib import Path
from typing import Literal, TypedDict, Unpack

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

from boomlib.harness.composition import count_elements, count_shares
from boomlib.harness.design import read_descriptors
from boomlib.harness.interface import Model, Molecules, Prediction
from boomlib.harness.saving import read_objects, write_objects
from boomlib.models.tabular.trees import Trees, find_unit


class BoostingSettings(TypedDict, total=False):
    """Hyper-parameters of scikit-learn's ``HistGradientBoostingRegressor``, which has defaults for all."""

    loss: Literal["squared_error", "absolute_error", "gamma", "poisson"]
    learning_rate: float
    max_iter: int
    max_leaf_nodes: int | None
    max_depth: int | None
    min_samples_leaf: int
    l2_regularization: float
    max_features: float
    max_bins: int
    n_iter_no_change: int
    tol: float


def stack_tree_columns(molecules: Molecules, kind: str) -> np.ndarray:
    """Descriptors and element counts (shares for an intensive property), [n, columns]; trees take gaps as they are."""
    elements = count_shares(molecules) if kind == "intensive" else count_elements(molecules)
    return np.hstack([read_descriptors(molecules), elements])


def make_boosted_trees(seed: int, settings: BoostingSettings) -> Trees:
    """An early-stopped booster."""
    return Trees(HistGradientBoostingRegressor(early_stopping=True, random_state=seed, **settings))


class GradientBoosting(Model):
    """Boosted trees on descriptors and element counts.

    Args:
        **settings: see :class:`BoostingSettings`.
    """

    def __init__(
        self,
        *,
        kind: str,
        seed: int,
        threads: int = 1,
        observable: str | None = None,
        **settings: Unpack[BoostingSettings],
    ) -> None:
        super().__init__(kind=kind, seed=seed, threads=threads, observable=observable)
        self.trees = make_boosted_trees(seed, settings)

    def fit(self, train: Molecules, valid: Molecules, folder: Path) -> None:
        """Add trees until the error on valid has stopped falling."""
        x, x_valid = stack_tree_columns(train, self.kind), stack_tree_columns(valid, self.kind)
        self.trees.fit(x, train.y, find_unit(train.y), (x_valid, valid.y))

    def predict(self, molecules: Molecules) -> Prediction:
        """Sum of the trees."""
        return Prediction(self.trees.predict(stack_tree_columns(molecules, self.kind)))

    def save(self, folder: Path) -> None:
        """Write the trees."""
        write_objects(self.trees, folder / "model.skops")

    def load(self, folder: Path) -> None:
        """Read the trees."""
        self.trees = read_objects(folder / "model.skops")
