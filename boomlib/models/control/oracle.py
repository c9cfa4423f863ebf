"""Control: predicts the true label, which it alone is shown. Its error must be 0, or the scoring is wrong."""

from pathlib import Path

import numpy as np

from boomlib.harness.interface import Model, Molecules, Prediction


class Oracle(Model):
    """Returns ``y``; its descriptor says ``sees_truth``."""

    def fit(self, train: Molecules, valid: Molecules, folder: Path) -> None:
        """Nothing to learn."""

    def predict(self, molecules: Molecules) -> Prediction:
        """The labels themselves."""
        if np.isnan(molecules.y).any():
            raise ValueError("the oracle was given molecules without labels; its descriptor needs `sees_truth: true`")
        return Prediction(molecules.y.copy())

    def save(self, folder: Path) -> None:
        """Nothing to write."""

    def load(self, folder: Path) -> None:
        """Nothing to read."""
