"""Control: predicts the mean label of train for every molecule. Its error is the floor that counts as no skill."""

from pathlib import Path

import numpy as np

from boomlib.files import read_json, write_json
from boomlib.harness.interface import Model, Molecules, Prediction


class TrainMean(Model):
    """The constant predictor."""

    def fit(self, train: Molecules, valid: Molecules, folder: Path) -> None:
        """Take the mean of train's labels."""
        self.mean = float(train.y.mean())

    def predict(self, molecules: Molecules) -> Prediction:
        """The same value for all."""
        return Prediction(np.full(len(molecules), self.mean))

    def save(self, folder: Path) -> None:
        """Write the mean."""
        write_json(folder / "model.json", {"mean": self.mean})

    def load(self, folder: Path) -> None:
        """Read the mean."""
        self.mean = read_json(folder / "model.json")["mean"]
