"""Bilinear transduction: from a molecule of train, an anchor, to the one that is asked for, by their difference.

Netanyahu et al., Learning to Extrapolate: A Transductive Approach, ICLR 2023 (arXiv 2304.14329), the idea; Segal et
al., Known Unknowns, 2025 (arXiv 2502.05970), for properties of molecules and materials. A prediction is an inner
product of an embedding of the difference Δ and one of the anchor. Out of distribution neither need be new: the anchor
is of train, and Δ may be like differences of train.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.neighbors import KDTree

from boomlib.harness.design import ROWS, Blocks
from boomlib.harness.interface import Model, Molecules, Prediction, write_history
from boomlib.harness.ridge import Rows, fit_ridge
from boomlib.harness.saving import read_objects, write_objects
from boomlib.models.tabular.ridge import Ridge, RidgeSettings

EXHAUSTED = 1e-6
"""Share of a direction that must be left beside those before it for it to be one more."""


class Bilinear(Model):
    """Bilinear transduction in closed form: y(x) = ŷ(x) + mean over anchors a of r(a) + (z(x) - z(a))ᵀ W [1, z(a)].

    ŷ is a ridge regression, wᵀx, and r what it leaves of an anchor when it is fitted to the others, so that
    y(x) - y(a) is wᵀ(x - a) and a part that depends, linearly, on where the change starts. z are a few linear
    combinations of the columns, as partial least squares finds them, of unit variance on train. As both embeddings are
    linear, a prediction leaves the range of train along a straight line from each anchor.

    Anchors are a molecule's nearest ones of train by z. W is a ridge regression too, on differences of train that were
    found in the same way, between each molecule and its own nearest ones, in both directions: those between molecules
    far apart would flatten W, as a line through them misses the curve between. How much anchors disagree is told too.

    Args:
        ridge: see :class:`boomlib.models.tabular.ridge.Ridge`.
        components: how many z has, or fewer, where the columns have no more to tell.
        anchors: so many for a prediction, and for each molecule of train in the fit of W.
        penalties: of W, to choose from by the RMSE on valid of what each anchor says alone: in their mean, W matters
            little within the range of train, where anchors lie on all sides.
    """

    def __init__(
        self, *, ridge: RidgeSettings, components: int, anchors: int, penalties: list[float], **common
    ) -> None:
        super().__init__(**common)
        self.ridge = Ridge(**ridge, **common)
        self.components, self.anchors, self.penalties = components, anchors, penalties

    def fit(self, train: Molecules, valid: Molecules, folder: Path) -> None:
        """Fit the ridge, then W; ``history.csv`` has that RMSE on valid for each penalty of W."""
        self.ridge.fit(train, valid, folder)
        train, valid = (self.ridge.quantity.learn(part) for part in (train, valid))
        self.directions = find_directions(Blocks(train, self.ridge.design.transform), train.y, self.components)
        self.z, self.residuals = self.find_components(train), self.ridge.leave_one_out_residuals
        self.tree = KDTree(self.z)
        pairs = Pairs(self.z, *pair_up(self.find_nearest(self.z, self.anchors + 1)))
        differences = self.residuals[pairs.ends] - self.residuals[pairs.anchors]
        left = np.vstack([anchored for _, anchored in Blocks(valid, self.describe)])
        wanted = (valid.y - self.ridge.explain(valid))[:, None] - left
        from_anchors = Blocks(valid, lambda block: np.concatenate(self.describe(block)[0]))
        # both directions of each pair: the differences' mean, which would be the intercept, is zero
        fitted = fit_ridge(Rows(pairs), differences, Rows(from_anchors), wanted.ravel(), self.penalties)
        self.weights = fitted.weights
        write_history(folder, ("penalty", "valid_rmse"), fitted.history)

    def find_nearest(self, z: np.ndarray, count: int) -> np.ndarray:
        """Rows of the molecules of train that are nearest to components z [n, components], int [n, ``count``]."""
        return self.tree.query(z, min(count, len(self.z)), return_distance=False)

    def find_components(self, molecules: Molecules) -> np.ndarray:
        """Components of molecules, float64 [n, components]."""
        return np.vstack([block @ self.directions for block in Blocks(molecules, self.ridge.design.transform)])

    def describe(self, molecules: Molecules) -> tuple[np.ndarray, np.ndarray]:
        """The columns of W from each anchor, [n, anchors, columns], and the anchors' residuals, [n, anchors]."""
        z = self.find_components(molecules)
        rows = self.find_nearest(z, self.anchors)
        return multiply(self.z[rows], z[:, None]), self.residuals[rows]

    def predict(self, molecules: Molecules) -> Prediction:
        """Mean and standard deviation over the anchors."""
        told = [left + columns @ self.weights for columns, left in Blocks(molecules, self.describe)]
        from_anchors = (self.ridge.explain(molecules)[:, None] + np.vstack(told)).T
        values = np.stack([self.ridge.quantity.tell(molecules, each) for each in from_anchors])
        return Prediction(values.mean(axis=0), values.std(axis=0))

    def save(self, folder: Path) -> None:
        """Write both parts."""
        self.ridge.save(folder)
        write_objects((self.directions, self.z, self.residuals, self.tree, self.weights), folder / "bilinear.skops")

    def load(self, folder: Path) -> None:
        """Read both parts."""
        self.ridge.load(folder)
        self.directions, self.z, self.residuals, self.tree, self.weights = read_objects(folder / "bilinear.skops")


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


def pair_up(nearest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Anchors and ends of the pairs of each molecule with its nearest ones, int [n, nearest], and back.

    A molecule is among its own nearest ones; a pair of one molecule has no difference and counts for nothing.
    """
    first, second = np.repeat(np.arange(len(nearest)), nearest.shape[1]), nearest.ravel()
    return np.concatenate([second, first]), np.concatenate([first, second])


def multiply(anchor: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Each component's difference, and its products with the anchor's, [..., components * (1 + components)].

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
