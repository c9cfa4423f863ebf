"""Bilinear transduction: from a molecule of train, an anchor, to the one that is asked for, by their difference.

Netanyahu et al., Learning to Extrapolate: A Transductive Approach, ICLR 2023 (arXiv 2304.14329), the idea; Segal et
al., Known Unknowns, 2025 (arXiv 2502.05970), for properties of molecules and materials. A prediction is an inner
product of an embedding of the difference Δ and one of the anchor. Out of distribution neither need be new: the anchor
is of train, and Δ may be like differences of train.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
from sklearn.neighbors import KDTree

from boomlib.harness.design import ROWS, Blocks
from boomlib.harness.interface import Model, Molecules, Prediction, write_history
from boomlib.harness.ridge import Rows, fit_ridge
from boomlib.models.tabular.ridge import Ridge, RidgeSettings

EXHAUSTED = 1e-6
"""Share of a direction that must be left beside those before it for it to be one more."""


class Bilinear(Model):
    """Bilinear transduction in closed form: y(x) = ŷ(x) + mean over anchors a of r(a) + (z(x) - z(a))ᵀ W [1, z(a)].

    ŷ is a ridge regression, wᵀx, and r what it leaves of an anchor when it is fitted to the others, so that
    y(x) - y(a) is wᵀ(x - a) and a part that depends, linearly, on where the change starts. z are a few linear
    combinations of the columns, as partial least squares finds them. W is a ridge regression too, on differences of
    random pairs of train, each pair in both directions. As both embeddings are linear, a prediction leaves the range of
    train from each anchor along a straight line.

    On train components have unit variance and are uncorrelated. Differences of random pairs then have no preferred
    direction, and are the denser the shorter they are: it is from its nearest molecules of train that a molecule's
    difference is most like those that W was fitted to. These are its anchors; how much they disagree is told too.

    Args:
        ridge: see :class:`boomlib.models.tabular.ridge.Ridge`.
        components: how many z has, or fewer, where the columns have no more to tell.
        pairs: so many for each molecule of train.
        anchors: so many for a prediction.
        penalties: of W, to choose from on valid; under a large one the anchors' residuals alone are left.
    """

    def __init__(
        self, *, ridge: RidgeSettings, components: int, pairs: int, anchors: int, penalties: list[float], **common
    ) -> None:
        super().__init__(**common)
        self.ridge = Ridge(**ridge, **common)
        self.components, self.pairs, self.anchors, self.penalties = components, pairs, anchors, penalties

    def fit(self, train: Molecules, valid: Molecules, folder: Path) -> None:
        """Fit the ridge, then W; ``history.csv`` has the RMSE on valid for each penalty of W."""
        self.ridge.fit(train, valid, folder)
        self.directions = find_directions(Blocks(train, self.ridge.design.transform), train.y, self.components)
        self.z, self.residuals = self.find_components(train), self.ridge.leave_one_out_residuals
        self.tree = KDTree(self.z)
        pairs = Pairs(self.z, *draw_pairs(len(train), self.pairs, self.seed))
        told = [(columns.mean(axis=1), left.mean(axis=1)) for columns, left in Blocks(valid, self.describe)]
        columns, left = (np.concatenate(each) for each in zip(*told, strict=True))
        differences = self.residuals[pairs.ends] - self.residuals[pairs.anchors]
        wanted = valid.y - self.ridge.predict(valid).mean - left
        # both directions of each pair: the differences' mean, which would be the intercept, is zero
        fitted = fit_ridge(Rows(pairs), differences, Rows([columns]), wanted, self.penalties)
        self.weights = fitted.weights
        write_history(folder, ("penalty", "valid_rmse"), fitted.history)

    def find_components(self, molecules: Molecules) -> np.ndarray:
        """Components of molecules, float64 [n, components]."""
        return np.vstack([block @ self.directions for block in Blocks(molecules, self.ridge.design.transform)])

    def describe(self, molecules: Molecules) -> tuple[np.ndarray, np.ndarray]:
        """The columns of W from each anchor, [n, anchors, columns], and the anchors' residuals, [n, anchors]."""
        z = self.find_components(molecules)
        rows = self.tree.query(z, min(self.anchors, len(self.z)), return_distance=False)
        return multiply(self.z[rows], z[:, None]), self.residuals[rows]

    def predict(self, molecules: Molecules) -> Prediction:
        """Mean and standard deviation over the anchors."""
        told = [left + columns @ self.weights for columns, left in Blocks(molecules, self.describe)]
        from_anchors = self.ridge.predict(molecules).mean[:, None] + np.vstack(told)
        return Prediction(from_anchors.mean(axis=1), from_anchors.std(axis=1))

    def save(self, folder: Path) -> None:
        """Write both parts with joblib (a pickle: load only files of your own)."""
        self.ridge.save(folder)
        joblib.dump((self.directions, self.z, self.residuals, self.tree, self.weights), folder / "bilinear.joblib")

    def load(self, folder: Path) -> None:
        """Read both parts."""
        self.ridge.load(folder)
        self.directions, self.z, self.residuals, self.tree, self.weights = joblib.load(folder / "bilinear.joblib")


def find_directions(x: Iterable[np.ndarray], y: np.ndarray, components: int) -> np.ndarray:
    """Weights of the components of partial least squares, [columns, at most ``components``]; 0 if labels are constant.

    Those of one label span the Krylov space of XᵀX and Xᵀy (Helland, Commun. Stat. Simul. Comput. 17, 581, 1988), so
    that the products of the columns are enough.

    Args:
        x: columns centred on train, [n, columns], as blocks of rows.
        y: labels, [n].
        components: how many, if the columns have so many.
    """
    gram, direction = Rows(x).products(y - y.mean())
    found = np.empty((len(direction), 0))
    for _ in range(components):
        length = np.sqrt(direction @ gram @ direction)
        for _ in range(2):  # once more, against rounding
            direction = direction - found @ (found.T @ (gram @ direction))
        left = np.sqrt(max(direction @ gram @ direction, 0))
        if left <= EXHAUSTED * length:
            break
        found = np.column_stack([found, direction / left])
        direction = gram @ found[:, -1]
    return found * np.sqrt(len(y)) if found.size else np.zeros((len(direction), 1))


def draw_pairs(n: int, pairs: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Anchors and ends of random pairs of n molecules: ``pairs`` from each one, and as many back to it."""
    first = np.repeat(np.arange(n), pairs)
    second = np.random.default_rng(seed).integers(n, size=n * pairs)
    return np.concatenate([first, second]), np.concatenate([second, first])


def multiply(anchor: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Each component's difference times 1 and times each component of the anchor, [..., components * (1 + components)].

    Args:
        anchor: components, [..., components].
        end: those of the other molecule.
    """
    difference = end - anchor
    products = difference[..., :, None] * anchor[..., None, :]
    return np.concatenate([difference, products.reshape(*products.shape[:-2], -1)], axis=-1)


@dataclass(frozen=True)
class Pairs:
    """The columns of W of pairs, block by block.

    Attributes:
        z: components, [n, components].
        anchors: each pair's first molecule, int [pairs].
        ends: its second one.
    """

    z: np.ndarray
    anchors: np.ndarray
    ends: np.ndarray

    def __iter__(self) -> Iterator[np.ndarray]:
        for at in range(0, len(self.anchors), ROWS):
            rows = slice(at, at + ROWS)
            yield multiply(self.z[self.anchors[rows]], self.z[self.ends[rows]])
