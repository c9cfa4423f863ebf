"""scikit-learn's trees, which also learn labels of a small unit."""

import math

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor

SMALL = 0.01
"""Standard deviation of labels below which they are counted in a unit of that size. scikit-learn's trees end at
absolute numbers: they do not divide a variance of 2e-16, and boosting stops where the loss falls by less than 1e-7.
That still costs boosting some of its last trees up to a deviation of about 0.1; the border lies below every task of
BOOM, whose numbers it leaves as they were."""


def find_unit(y: np.ndarray) -> float:
    """The unit in which trees count labels (float64 [n]): 1, or a power of two of their size if they differ little."""
    spread = float(np.std(y))
    return 2.0 ** math.floor(math.log2(spread)) if 0 < spread < SMALL else 1.0


class Trees:
    """Trees that count labels in a unit, and say nothing beyond what they have been shown.

    Boosted trees add up: where molecules lie in a corner that train leaves empty, their sum can leave the range of all
    labels by far, while each tree alone cannot.

    Args:
        estimator: scikit-learn's trees.
    """

    least, largest = -math.inf, math.inf  # of trees that were kept before these were noted

    def __init__(self, estimator: HistGradientBoostingRegressor | RandomForestRegressor) -> None:
        self.estimator, self.unit = estimator, 1.0

    def fit(
        self, x: np.ndarray, y: np.ndarray, unit: float, valid: tuple[np.ndarray, np.ndarray] | None = None
    ) -> None:
        """Fit to labels in their native unit.

        Args:
            x: [n, columns].
            y: float64 [n].
            unit: what the trees count them in.
            valid: the same of valid, by which boosting stops.
        """
        self.unit, self.least, self.largest = unit, float(y.min()), float(y.max())
        stop_by = {} if valid is None else {"X_val": valid[0], "y_val": valid[1] / unit}
        self.estimator.fit(x, y / unit, **stop_by)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Predictions in the labels' native unit, float64 [n], within the range of the labels of train."""
        return np.clip(self.unit * self.estimator.predict(x), self.least, self.largest)
