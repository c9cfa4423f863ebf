"""Ridge regression on element counts, atom environments and descriptors, its penalty chosen on valid.

With ``margin: null`` it uses counts alone: the additive group-contribution model of thermochemistry (Benson
& Buss, J. Chem. Phys. 29, 546, 1958), whose groups are an atom with its neighbours.
"""

from pathlib import Path
from typing import Literal, NotRequired, TypedDict

import joblib

from boomlib.harness.design import LinearDesign
from boomlib.harness.interface import Model, Molecules, Prediction, write_history
from boomlib.harness.physics import Physics
from boomlib.harness.ridge import Rows, fit_ridge

Geometry = Literal["xtb", "xtb_embedded"]


class RidgeSettings(TypedDict):
    """Hyper-parameters of :class:`Ridge`, for a model that holds one."""

    radius: int
    min_molecules: int
    margin: float | None
    penalties: list[float]
    physics: NotRequired[Geometry | None]


class Ridge(Model):
    """Linear model with an L2 penalty on all but the intercept.

    Args:
        radius: largest radius of the atom environments, in bonds.
        min_molecules: molecules of train that must show an environment.
        margin: how far descriptors may leave train's range, in widths of it; None = no descriptors.
        penalties: penalties to choose from.
        physics: the feature with quantum-chemical columns to use; None = none. They may leave train's range as
            descriptors may.
    """

    def __init__(
        self,
        *,
        radius: int,
        min_molecules: int,
        margin: float | None,
        penalties: list[float],
        physics: Geometry | None = None,
        **common,
    ) -> None:
        super().__init__(**common)
        more = None if physics is None else Physics(physics, self.kind, 1.0 if margin is None else margin)
        self.design = LinearDesign(self.kind, radius, min_molecules, margin, more)
        self.penalties = penalties

    def fit(self, train: Molecules, valid: Molecules, folder: Path) -> None:
        """Learn the design from train and solve for all penalties."""
        x = self.design.fit(train).transform(train)
        fitted = fit_ridge(Rows([x]), train.y, Rows([self.design.transform(valid)]), valid.y, self.penalties)
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
