"""The metrics: their definitions, directions, units and bounds, as data.

Everything else that knows about metrics (intervals, table columns, arrows) reads this registry. A new metric
is one entry in :data:`METRICS` and its vectorised form in :mod:`boomlib.evaluation.bootstrap`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, nan
from typing import Literal

import numpy as np

Direction = Literal["min", "max", "zero"]
ARROWS: dict[str, str] = {"min": "↓", "max": "↑", "zero": "→0"}


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: key in files and tables.
        label: name for people.
        direction: whether a lower value is better, a higher one, or one near zero.
        unit: "property" if it has the unit of the property, "none" if it is a plain number.
        bounds: the lowest and highest value that it can take.
        function: (y_true, y_pred), both float64 [n] in the property's unit, -> float; NaN where undefined.
    """

    name: str
    label: str
    direction: Direction
    unit: Literal["property", "none"]
    bounds: tuple[float, float]
    function: Callable[[np.ndarray, np.ndarray], float]

    @property
    def arrow(self) -> str:
        """The sign that says which way is better: ↓, ↑ or →0."""
        return ARROWS[self.direction]


def rmse(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Root of the mean squared error."""
    return float(np.sqrt(np.mean((y_pred - y_true) ** 2)))


def mae(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Mean absolute error."""
    return float(np.mean(np.abs(y_pred - y_true)))


def bias(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Mean of predicted minus true; positive where the model predicts too much."""
    return float(np.mean(y_pred - y_true))


def r2(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Coefficient of determination, 1 - SS_res / SS_tot about the mean of ``y_true``; NaN if constant."""
    if np.ptp(y_true) == 0:
        return nan
    return float(1 - np.sum((y_pred - y_true) ** 2) / np.sum((y_true - y_true.mean()) ** 2))


def pearson(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Pearson's correlation; NaN if either side is constant."""
    if np.ptp(y_true) == 0 or np.ptp(y_pred) == 0:
        return nan
    x, y = y_true - y_true.mean(), y_pred - y_pred.mean()
    return float(np.clip((x / np.linalg.norm(x)) @ (y / np.linalg.norm(y)), -1, 1))


def mid_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1; equal values share the mean of their ranks."""
    ordered = np.sort(values)
    return (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right") + 1) / 2


def spearman(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Spearman's rank correlation, Pearson's of the mid-ranks; NaN if either side is constant."""
    return pearson(mid_ranks(y_true), mid_ranks(y_pred))


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("rmse", "RMSE", "min", "property", (0, inf), rmse),
        Metric("mae", "MAE", "min", "property", (0, inf), mae),
        Metric("r2", "R²", "max", "none", (-inf, 1), r2),
        Metric("pearson", "Pearson", "max", "none", (-1, 1), pearson),
        Metric("spearman", "Spearman", "max", "none", (-1, 1), spearman),
        Metric("bias", "Bias", "zero", "property", (-inf, inf), bias),
    )
}
