"""BOOM's split by property density: the molecules with the rarest values of the property are OOD.

Definition: Antoniuk et al., arXiv 2505.01912, and BOOM's ``prepare_splits_10k.py`` / ``prepare_splits_qm9.py``.
"""

import random

import numpy as np

from boomlib.splits import SplitInput

TITLE = "Split by property density (`kde`)"
TEXT = (
    "OOD are the molecules with the rarest values of the property, by kernel density: both ends of its "
    "distribution, and gaps inside it."
)
QUANTITY = "KDE density\n(per {unit})"
FEATURES = ()

# Cells are half a bandwidth wide and a point meets the cells within ten bandwidths: a neighbour farther away adds
# less than 1e-16 of what a point adds to its own density, even if all of 10⁶ molecules stood there.
CELL = 0.5
REACH = 20
# Terms of the series: the first one left out is below 1e-20 of a neighbour's weight everywhere.
TERMS = 20


def scott_bandwidth(n: int) -> float:
    """scikit-learn's ``bandwidth="scott"`` in one dimension: n^(-1/5), without the standard deviation."""
    return n ** (-1 / 5)  # type: ignore[no-any-return]  # typeshed: complex of a negative n


def gaussian_kde(values: np.ndarray) -> np.ndarray:
    """Density of each value under a Gaussian KDE of all of them, float64 [n], exact to rounding.

    Equals ``sklearn.neighbors.KernelDensity(kernel="gaussian", bandwidth="scott")`` on the raw values, in time
    proportional to n: equal values count once, and the values of a cell act through their moments, a fast Gauss
    transform (Greengard & Strain, SIAM J. Sci. Stat. Comput. 12, 79, 1991). With distance d of a point from the
    cell's centre and offset o of a value in the cell, in bandwidths,
    exp(-(d-o)²/2) = exp(-d²/2) · Σ_k d^k · exp(-o²/2) o^k / k!.
    """
    n, bandwidth = len(values), scott_bandwidth(len(values))
    points, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    # from the smallest value on, so that large values do not cost digits
    scaled = (points - points[0]) / bandwidth
    cell = np.floor(scaled / CELL)
    occupied, member = np.unique(cell, return_inverse=True)
    offset = scaled - (cell + 0.5) * CELL
    term = counts * np.exp(-0.5 * offset**2)
    moments = np.empty((TERMS, len(occupied)))
    for k in range(TERMS):
        moments[k] = np.bincount(member, weights=term)
        term = term * offset / (k + 1)
    density = np.zeros(len(points))
    for step in range(-REACH, REACH + 1):
        at = np.searchsorted(occupied, cell + step)
        met = np.flatnonzero((at < len(occupied)) & (occupied[np.minimum(at, len(occupied) - 1)] == cell + step))
        distance = offset[met] - step * CELL
        series = np.zeros(len(met))
        for k in range(TERMS - 1, -1, -1):
            series = series * distance + moments[k, at[met]]
        density[met] += np.exp(-0.5 * distance**2) * series
    return (density / (n * bandwidth * np.sqrt(2 * np.pi)))[inverse]  # type: ignore[no-any-return]  # NumPy's sqrt is Any


def lowest(density: np.ndarray, size: int) -> np.ndarray:
    """Mark the ``size`` lowest densities, bool [n]; ties at the threshold go to the lower molecule_id."""
    marked = np.zeros(len(density), dtype=bool)
    marked[np.argsort(density, kind="stable")[:size]] = True
    return marked


def ties_at_threshold(density: np.ndarray, size: int) -> int:
    """How many molecules share the density at which the OOD fold ends, if the fold cuts through them; else 0."""
    ordered = np.sort(density)
    if size >= len(ordered) or ordered[size - 1] != ordered[size]:
        return 0
    return int((density == ordered[size]).sum())


def assign(
    table: SplitInput, *, ood_size: int, id_fraction: float, seed: int, shared_generator: bool
) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
    """Folds of one property, as BOOM draws them.

    OOD are the ``ood_size`` molecules of lowest density. Row by row, a molecule that is not OOD draws from
    Python's ``random.Random(seed)`` and is ``id`` where the draw is below ``id_fraction``.

    Args:
        table: the values of every property, and which to split by.
        ood_size: molecules in the OOD fold.
        id_fraction: share of the others that becomes the ID test fold.
        seed: seed of the generator.
        shared_generator: one generator draws for all properties in turn, row by row (BOOM's 10K CSD);
            otherwise each property has its own (BOOM's QM9).

    Returns:
        fold (str [n]), density (float64 [n]; unit: one over the property's) and how many are tied at the threshold.
    """
    drawing = list(table.values) if shared_generator else [table.property]
    density = {drawn: gaussian_kde(table.values[drawn]) for drawn in drawing}
    ood = {drawn: lowest(density[drawn], ood_size) for drawn in drawing}
    fold = np.where(ood[table.property], "ood", "train").astype("<U5")
    generator = random.Random(seed)
    for row in range(len(fold)):
        for drawn in drawing:
            if not ood[drawn][row] and generator.random() < id_fraction and drawn == table.property:
                fold[row] = "id"
    cut = density[table.property]
    return fold, cut, {"tied_at_threshold": ties_at_threshold(cut, ood_size)}
