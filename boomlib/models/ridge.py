"""Ridge regression on element counts, atom environments and descriptors, its penalty chosen on valid.

With ``margin: null`` it uses counts alone: the additive group-contribution model of thermochemistry (Benson
& Buss, J. Chem. Phys. 29, 546, 1958), whose groups are an atom with its neighbours.
"""

from pathlib import Path

import joblib
import numpy as np
from scipy.linalg import eigh

from boomlib.models.base import Model, Molecules, Prediction, write_history
from boomlib.models.tabular import LinearDesign


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
        """Solve for all penalties with one eigendecomposition of the Gram matrix; keep the best on valid."""
        x = self.design.fit(train).transform(train)
        x_valid = self.design.transform(valid)
        self.intercept = float(train.y.mean())
        values, vectors = eigh(x.T @ x, overwrite_a=True)
        projected = vectors.T @ (x.T @ (train.y - self.intercept))
        history = []
        for penalty in self.penalties:
            weights = vectors @ (projected / (np.maximum(values, 0) + penalty))
            rmse = float(np.sqrt(np.mean((x_valid @ weights + self.intercept - valid.y) ** 2)))
            if not history or rmse < min(each for _, each in history):
                self.weights, self.penalty = weights, penalty
            history.append((penalty, rmse))
        # exact leave-one-out residuals of a linear smoother: residual / (1 - leverage)
        leverage = 1 / len(x) + (x @ vectors) ** 2 @ (1 / (np.maximum(values, 0) + self.penalty))
        self.leave_one_out_residuals = (train.y - x @ self.weights - self.intercept) / (1 - leverage)
        write_history(folder, ("penalty", "valid_rmse"), history)

    def predict(self, molecules: Molecules) -> Prediction:
        """Intercept plus weighted columns."""
        return Prediction(self.design.transform(molecules) @ self.weights + self.intercept)

    def save(self, folder: Path) -> None:
        """Write design and weights with joblib (a pickle: load only files of your own)."""
        joblib.dump((self.design, self.weights, self.intercept), folder / "model.joblib")

    def load(self, folder: Path) -> None:
        """Read design and weights."""
        self.design, self.weights, self.intercept = joblib.load(folder / "model.joblib")
