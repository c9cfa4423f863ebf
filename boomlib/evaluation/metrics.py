"""The metrics: their definitions, directions, units and bounds, as data.

Everything else that knows about metrics (intervals, table columns, arrows) reads this registry. A new metric
is one entry in :data:`METRICS` and, if it has an interval, its vectorised form in
:mod:`boomlib.evaluation.bootstrap`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, inf, nan
from typing import Literal

import numpy as np

Direction = Literal["min", "max", "zero", "none"]
ARROWS: dict[str, str] = {"min": "↓", "max": "↑", "zero": "→0", "none": ""}
TRIMMED = 0.01
"""Share of the molecules that :func:`rmse_trimmed` leaves out."""
WORST = 5
"""Molecules whose part of the squared error :func:`worst_five_share` is."""


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: key in files and tables.
        label: name for people.
        direction: whether a lower value is better, a higher one, one near zero, or none of them.
        unit: "property" if it has the unit of the property, "none" if it is a plain number.
        bounds: the lowest and highest value that it can take.
        function: (y_true, y_pred), both float64 [n] in the property's unit, -> float; NaN where undefined. One that
            is ``binned`` takes a third argument, the median of train's labels.
        binned: whether it looks at molecules below and above that median apart.
        interval: whether the bootstrap gives it an interval.
    """

    name: str
    label: str
    direction: Direction
    unit: Literal["property", "none"]
    bounds: tuple[float, float]
    function: Callable[..., float]
    binned: bool = False
    interval: bool = True

    @property
    def arrow(self) -> str:
        """The sign that says which way is better: ↓, ↑, →0 or nothing."""
        return ARROWS[self.direction]

    def compute(self, y_true: np.ndarray, y_pred: np.ndarray, median: float) -> float:
        """Its value on n ≥ 1 molecules; ``median`` is that of train's labels."""
        return self.function(y_true, y_pred, median) if self.binned else self.function(y_true, y_pred)


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


def r2_binned(y_true: np.ndarray, y_pred: np.ndarray, median: float) -> float:
    """Mean of R² of the molecules below ``median`` and R² of the others; NaN if the labels of either are constant.

    As BOOM reports for OOD (arXiv 2505.01912): the rare values lie at both ends, and R² over both together is mostly
    that of telling one end from the other. ``median`` is that of train's labels.
    """
    bins = y_true < median, y_true >= median
    if not all(rows.any() for rows in bins):
        return nan
    return float(np.mean([r2(y_true[rows], y_pred[rows]) for rows in bins]))


def median_ae(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Median absolute error: what half of the molecules stay below."""
    return float(np.median(np.abs(y_pred - y_true)))


def rmse_trimmed(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """RMSE without the model's own worst molecules, 1 % of them rounded up; NaN if none is left."""
    kept = np.sort(np.abs(y_pred - y_true))[: len(y_true) - count_trimmed(len(y_true))]
    return float(np.sqrt(np.mean(kept**2))) if len(kept) else nan


def count_trimmed(n: int) -> int:
    """How many of n molecules :func:`rmse_trimmed` leaves out."""
    return ceil(TRIMMED * n)


def worst_five_share(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Share of the sum of squared errors that the model's five worst molecules have; NaN without any error."""
    squared = np.sort((y_pred - y_true) ** 2)
    total = squared.sum()
    return float(squared[-WORST:].sum() / total) if total else nan


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("rmse", "RMSE", "min", "property", (0, inf), rmse),
        Metric("mae", "MAE", "min", "property", (0, inf), mae),
        Metric("r2", "R²", "max", "none", (-inf, 1), r2),
        Metric("pearson", "Pearson", "max", "none", (-1, 1), pearson),
        Metric("spearman", "Spearman", "max", "none", (-1, 1), spearman),
        Metric("bias", "Bias", "zero", "property", (-inf, inf), bias),
        Metric("r2_binned", "R² binned", "max", "none", (-inf, 1), r2_binned, binned=True),
        Metric("median_ae", "Median AE", "min", "property", (0, inf), median_ae),
        Metric("rmse_trimmed", "RMSE without worst 1 %", "min", "property", (0, inf), rmse_trimmed),
        # a resample has the worst molecule not at all or several times, so that its share is another one
        Metric("worst_five_share", "Worst five", "none", "none", (0, 1), worst_five_share, interval=False),
    )
}
