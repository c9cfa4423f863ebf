"""A committee: a weighted mean of what other models predict.

Stacked regressions (Breiman, Machine Learning 24, 49, 1996) with the convex weights of a super learner (van der Laan,
Polley & Hubbard, Stat. Appl. Genet. Mol. Biol. 6, 25, 2007), fitted to valid.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from boomlib.files import ContractError, read_json, write_json
from boomlib.harness.columns import stack_columns
from boomlib.harness.interface import MEMBERS, Model, Molecules, Prediction, write_history


def fit_weights(predicted: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Weights of the members, >= 0 and with the sum 1, whose weighted mean has the least RMSE, float64 [members].

    With that sum the mean's errors are the weighted mean E w of the members' errors E, and the minimum of |E w|² is u
    divided by its sum, for the u >= 0 that minimises |E u|² + (sum(u) - 1)²: of all u in one direction w the best has
    q / (1 + q), with q = |E w|². So non-negative least squares finds it exactly.

    Args:
        predicted: float64 [n, members].
        y: labels, [n].
    """
    errors = predicted - y[:, None]
    errors /= np.linalg.norm(errors) or 1.0  # whatever the unit
    found, _ = nnls(np.vstack([errors, np.ones(predicted.shape[1])]), np.append(np.zeros(len(y)), 1.0))
    return found / found.sum()


def assign_folds(smiles: Iterable[str], folds: int, seed: int) -> dict[str, int]:
    """A fold, from 0, for each SMILES: by its hash with the seed, in equal parts, whatever the order.

    Raises:
        ContractError: there are fewer than two molecules, or folds.
    """

    def draw(text: str) -> bytes:
        return hashlib.blake2b(f"{seed} {text}".encode(), digest_size=8).digest()

    order = sorted(set(smiles), key=draw)
    if min(len(order), folds) < 2:
        remedy = (
            "`folds` at least 2" if folds < 2 else "valid more molecules (`split: {valid_fraction: …}` of the dataset)"
        )
        raise ContractError(
            f"{len(order)} molecules of valid in {folds} folds: weights that leave out a fold need two of each; give "
            f"{remedy}, or leave the committee out of `models:`"
        )
    return {text: rank % folds for rank, text in enumerate(order)}


class Committee(Model):
    """Weighted mean of the members' predictions, with their weighted standard deviation.

    Weights are no less than 0, and their sum is 1 (:func:`fit_weights`), so that the committee stays within what its
    members say wherever it is asked, and neither shrinks nor stretches what they extrapolate. On ID and OOD they are
    those fitted to all of valid. A molecule of valid is predicted with weights that are fitted without its fold, so
    that the figures on valid are out of fold. Members have themselves chosen penalties or epochs by all of valid: the
    figures are as much too good as the members' own, and weights lean to members that choose more.

    A committee learns nothing of train, and reads neither labels nor predictions of ID and OOD when it is fitted.

    Args:
        members: names of the models, whose predictions are read with the run's own seed.
        folds: parts of valid.
    """

    def __init__(self, *, members: list[str], folds: int, **common) -> None:
        super().__init__(**common)
        self.members, self.folds = members, folds

    def columns(self, molecules: Molecules) -> np.ndarray:
        """What the members say, native units, float64 [n, members]."""
        return stack_columns(molecules.features[MEMBERS].select(self.members))

    def fit(self, train: Molecules, valid: Molecules, folder: Path) -> None:
        """Fit the weights to valid, and once more without each of its folds; ``history.csv`` has a row a member."""
        predicted, y = self.columns(valid), valid.y
        self.fold = assign_folds(valid.smiles, self.folds, self.seed)
        fold = np.array([self.fold[text] for text in valid.smiles])
        kept = [fold != left_out for left_out in range(self.folds)]
        # the last row is that of all of valid
        self.weights = np.array([fit_weights(predicted[rows], y[rows]) for rows in (*kept, np.full(len(y), True))])
        errors = np.sqrt(np.mean((predicted - y[:, None]) ** 2, axis=0))
        rows = zip(self.members, self.weights[-1].tolist(), errors.tolist(), strict=True)
        write_history(folder, ("member", "weight", "valid_rmse"), rows)

    def predict(self, molecules: Molecules) -> Prediction:
        """The members' weighted mean and standard deviation; of molecules of valid out of fold, by their SMILES."""
        predicted = self.columns(molecules)
        weights = self.weights[[self.fold.get(text, self.folds) for text in molecules.smiles]]
        mean = (weights * predicted).sum(axis=1)
        return Prediction(mean, np.sqrt((weights * (predicted - mean[:, None]) ** 2).sum(axis=1)))

    def save(self, folder: Path) -> None:
        """Write the weights, and which molecule of valid is in which fold."""
        write_json(folder / "model.json", {"weights": self.weights.tolist(), "fold": self.fold})

    def load(self, folder: Path) -> None:
        """Read them."""
        saved = read_json(folder / "model.json")
        self.weights, self.fold = np.array(saved["weights"]), saved["fold"]
