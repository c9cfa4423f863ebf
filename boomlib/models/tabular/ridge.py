"""Ridge regression on element counts, atom environments and descriptors, its penalty chosen on valid.

With ``margin: null`` it uses counts alone: the additive group-contribution model of thermochemistry (Benson
& Buss, J. Chem. Phys. 29, 546, 1958), whose groups are an atom with its neighbours.
"""

from pathlib import Path
from typing import Literal, NotRequired, TypedDict

import numpy as np

from boomlib.harness.design import LinearDesign
from boomlib.harness.interface import Model, Molecules, Prediction, write_history
from boomlib.harness.physics import Physics
from boomlib.harness.quantity import Quantity
from boomlib.harness.ridge import Rows, fit_ridge, fit_weighted_ridge
from boomlib.harness.saving import read_objects, write_objects

Geometry = Literal["xtb", "xtb_embedded"]


class RidgeSettings(TypedDict):
    """Hyper-parameters of :class:`Ridge`, for a model that holds one."""

    radius: int
    min_molecules: int
    margin: float | None
    penalties: list[float]
    physics: NotRequired[Geometry | None]
    volume: NotRequired[bool]


class Ridge(Model):
    """Linear model with an L2 penalty on all but the intercept.

    Args:
        radius: largest radius of the atom environments, in bonds.
        min_molecules: molecules of train that must show an environment.
        margin: how far descriptors may leave train's range, in widths of it; None = no descriptors, and 1 for physics.
        penalties: penalties to choose from.
        physics: the feature with quantum-chemical columns to use; None = none. They may leave train's range as
            descriptors may. What it tells of the property itself is taken away first, see
            :class:`boomlib.harness.quantity.Quantity`.
        volume: whether a density is learnt as a volume, see :class:`boomlib.harness.quantity.Quantity`.
    """

    def __init__(
        self,
        *,
        radius: int,
        min_molecules: int,
        margin: float | None,
        penalties: list[float],
        physics: Geometry | None = None,
        volume: bool = False,
        **common,
    ) -> None:
        super().__init__(**common)
        self.quantity = Quantity(self.kind, self.observable, volume, physics)
        kind = self.quantity.kind
        more = None if physics is None else Physics(physics, kind, 1.0 if margin is None else margin)
        self.design = LinearDesign(kind, radius, min_molecules, margin, more)
        self.penalties = penalties

    def fit(self, train: Molecules, valid: Molecules, folder: Path) -> None:
        """Learn the design from train and solve for all penalties."""
        self.quantity.fit(train)
        train, valid = self.quantity.learn(train), self.quantity.learn(valid)
        x, x_valid = self.design.fit(train).transform(train), self.design.transform(valid)
        weights = self.quantity.weights(train)
        if weights is None:
            fitted = fit_ridge(Rows([x]), train.y, Rows([x_valid]), valid.y, self.penalties)
        else:
            weights_valid = self.quantity.weights(valid)
            fitted = fit_weighted_ridge(x, train.y, weights, x_valid, valid.y, weights_valid, self.penalties)
        self.weights, self.intercept = fitted.weights, fitted.intercept
        self.leave_one_out_residuals, self.penalty = fitted.leave_one_out, fitted.penalty
        write_history(folder, ("penalty", "valid_rmse"), fitted.history)

    def explain(self, molecules: Molecules) -> np.ndarray:
        """Intercept plus weighted columns, of the quantity that is learnt, float64 [n]."""
        return self.design.transform(molecules) @ self.weights + self.intercept

    def predict(self, molecules: Molecules) -> Prediction:
        """What this says of the property."""
        return Prediction(self.quantity.tell(molecules, self.explain(molecules)))

    def save(self, folder: Path) -> None:
        """Write design and weights."""
        write_objects((self.design, self.weights, self.intercept), folder / "model.skops")
        self.quantity.save(folder)

    def load(self, folder: Path) -> None:
        """Read design and weights."""
        self.design, self.weights, self.intercept = read_objects(folder / "model.skops")
        self.quantity.load(folder)
