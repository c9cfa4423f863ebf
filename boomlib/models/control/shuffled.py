"""Control: predicts a label drawn at random from train. It has the right distribution and no skill."""

import hashlib
from pathlib import Path

import numpy as np

from boomlib.harness.interface import Model, Molecules, Prediction


class Shuffled(Model):
    """Labels of train, shuffled: each molecule gets the one that the seed and its SMILES pick."""

    def fit(self, train: Molecules, valid: Molecules, folder: Path) -> None:
        """Keep train's labels."""
        self.labels = train.y

    def predict(self, molecules: Molecules) -> Prediction:
        """One label of train a molecule, whatever other molecules are asked for."""
        keys = [hashlib.blake2b(f"{self.seed} {text}".encode(), digest_size=8).digest() for text in molecules.smiles]
        return Prediction(self.labels[[int.from_bytes(key, "big") % len(self.labels) for key in keys]])

    def save(self, folder: Path) -> None:
        """Write the labels."""
        np.save(folder / "labels.npy", self.labels)

    def load(self, folder: Path) -> None:
        """Read the labels."""
        self.labels = np.load(folder / "labels.npy", allow_pickle=False)
