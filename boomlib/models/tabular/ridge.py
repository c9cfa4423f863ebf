"""Ridge regression on element counts, atom environments and descriptors, its penalty chosen on valid.

With ``margin: null`` it uses counts alone: the additive group-contribution model of thermochemistry (Benson
& Buss, J. Chem. Phys. 29, 546, 1958), whose groups are an atom with its neighbours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import joblib
import numpy as np
from scipy.linalg import eigh

from boomlib.harness.design import LinearDesign
from boomlib.harness.interface import Model, Molecules, Prediction, write_history


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


class RidgeSettings(TypedDict):
    """Hyper-parameters of :class:`Ridge`, for a model that holds one."""

    radius: int
    min_molecules: int
    margin: float | None
    penalties: list[float]


class Ridge(Model):
    """Linear model with an L2 penalty on all but the intercept.

    Args:
        radius: largest radius of the atom environments, in bonds.
        min_molecules: molecules of train that must show an environment.
        margin: how far descriptors may leave train's range, in widths of it; None = no descriptors.
        penalties: penalties to choose from.
    """

    def __init__(
        self, *, radius: int, min_molecules: int, margin: float | None, penalties: list[float], **common
    ) -> None:
        super().__init__(**common)
        self.design = LinearDesign(self.kind, radius, min_molecules, margin)
        self.penalties = penalties

    def fit(self, train: Molecules, valid: Molecules, folder: Path) -> None:
        """Learn the design from train and solve for all penalties."""
        x = self.design.fit(train).transform(train)
        fitted = fit_ridge(x, train.y, self.design.transform(valid), valid.y, self.penalties)
        self.weights, self.intercept = fitted.weights, fitted.intercept
        self.leave_one_out_residuals, self.penalty = fitted.leave_one_out, fitted.penalty
        write_history(folder, ("penalty", "valid_rmse"), fitted.history)

    def predict(self, molecules: Molecules) -> Prediction:
        """Intercept plus weighted columns."""
        return Prediction(self.design.transform(molecules) @ self.weights + self.intercept)

    def save(self, folder: Path) -> None:
        """Write design and weights with joblib (a pickle: load only files of your own)."""
        joblib.dump((self.design, self.weights, self.intercept), folder / "model.joblib")

    def load(self, folder: Path) -> None:
        """Read design and weights."""
        self.design, self.weights, self.intercept = joblib.load(folder / "model.joblib")
