"""Ridge regression for many penalties at once, the best on valid kept."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh


@dataclass(frozen=True)
class RidgeFit:
    """A solved ridge regression: predictions are ``x @ weights + intercept``.

    Attributes:
        weights: float64 [columns].
        intercept: mean of the labels, which are not penalised.
        leave_one_out: residual of each row of train under the fit to all others, float64 [n].
        penalty: the chosen one.
        history: every penalty with its RMSE on valid.
    """

    weights: np.ndarray
    intercept: float
    leave_one_out: np.ndarray
    penalty: float
    history: list[tuple[float, float]]


def fit_ridge(
    x: np.ndarray, y: np.ndarray, x_valid: np.ndarray, y_valid: np.ndarray, penalties: Sequence[float]
) -> RidgeFit:
    """Solve for all penalties with one eigendecomposition of the Gram matrix; keep the best on valid.

    Args:
        x: columns centred on train, [n, columns].
        y: labels, [n].
        x_valid: the same columns of valid.
        y_valid: its labels.
        penalties: penalties to choose from.
    """
    intercept = float(y.mean())
    values, vectors = eigh(x.T @ x, overwrite_a=True)
    projected = vectors.T @ (x.T @ (y - intercept))
    history = []
    for penalty in penalties:
        tried = vectors @ (projected / (np.maximum(values, 0) + penalty))
        rmse = float(np.sqrt(np.mean((x_valid @ tried + intercept - y_valid) ** 2)))
        if not history or rmse < min(each for _, each in history):
            weights, chosen = tried, penalty
        history.append((penalty, rmse))
    # exact leave-one-out residuals of a linear smoother: residual / (1 - leverage)
    leverage = 1 / len(x) + (x @ vectors) ** 2 @ (1 / (np.maximum(values, 0) + chosen))
    return RidgeFit(weights, intercept, (y - x @ weights - intercept) / (1 - leverage), chosen, history)
