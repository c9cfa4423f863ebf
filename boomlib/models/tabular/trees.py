"""scikit-learn's trees, which learn labels of any unit alike."""

import math

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor

SMALL = 0.01
"""Standard deviation of labels below which they are counted in a unit of that size. scikit-learn's trees end at
absolute numbers: they do not divide a variance of 2e-16, and boosting stops where the loss falls by less than 1e-7."""


def find_unit(y: np.ndarray) -> float:
    """What trees count labels in, float64 [n]: 1, or, where these differ by little, a power of two of that size."""
    spread = float(np.std(y))
    return 2.0 ** math.floor(math.log2(spread)) if 0 < spread < SMALL else 1.0


class Trees:
    """Trees that count labels in a unit.

    Args:
        estimator: scikit-learn's trees.
    """

    def __init__(self, estimator: HistGradientBoostingRegressor | RandomForestRegressor) -> None:
        self.estimator, self.unit = estimator, 1.0

    def fit(self, x: np.ndarray, y: np.ndarray, unit: float, **valid: np.ndarray) -> None:
        """Fit to labels in their native unit; those of ``valid``, scikit-learn's ``X_val`` and ``y_val``, are too.

        Args:
            x: [n, columns].
            y: float64 [n].
            unit: what the trees count them in.
            **valid: none, or what boosting stops by.
        """
        self.unit = unit
        counted = {name: each / unit if name == "y_val" else each for name, each in valid.items()}
        self.estimator.fit(x, y / unit, **counted)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Predictions in the labels' native unit, float64 [n]."""
        return self.unit * self.estimator.predict(x)
