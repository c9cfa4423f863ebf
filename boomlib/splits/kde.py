"""BOOM's split by property density: the molecules with the rarest values of the property are OOD.

Definition: Antoniuk et al., arXiv 2505.01912, and BOOM's ``prepare_splits_10k.py`` / ``prepare_splits_qm9.py``.
"""

import random

import numpy as np

# Beyond this many bandwidths a neighbour adds less than 1e-16 of what a point adds to its own density, even
# if all of 10⁶ molecules stood there: exp(-10²/2) · 10⁶ < 2e-16.
REACH = 10.0
BLOCK = 1 << 22


def scott_bandwidth(n: int) -> float:
    """scikit-learn's ``bandwidth="scott"`` in one dimension: n^(-1/5), without the standard deviation."""
    return n ** (-1 / 5)


def gaussian_kde(values: np.ndarray) -> np.ndarray:
    """Density of each value under a Gaussian KDE of all of them, float64 [n], exact to rounding.

    Equals ``sklearn.neighbors.KernelDensity(kernel="gaussian", bandwidth="scott")`` on the raw values. In one
    dimension equal values are computed once, and only neighbours within :data:`REACH` bandwidths, a
    window of the sorted values, contribute.
    """
    n, bandwidth = len(values), scott_bandwidth(len(values))
    points, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    # from the smallest value on, so that large values do not cost digits
    scaled = (points - points[0]) / bandwidth
    first = np.searchsorted(scaled, scaled - REACH, side="left")
    last = np.searchsorted(scaled, scaled + REACH, side="right")
    density = np.empty(len(points))
    start = 0
    while start < len(points):
        # as many points at once as fit the block; their windows overlap and are padded to the union
        stop = start + 1
        while stop < len(points) and (stop + 1 - start) * (last[stop] - first[start]) <= BLOCK:
            stop += 1
        window = slice(first[start], last[stop - 1])
        distance = scaled[start:stop, None] - scaled[None, window]
        density[start:stop] = np.exp(-0.5 * distance**2) @ counts[window]
        start = stop
    return (density / (n * bandwidth * np.sqrt(2 * np.pi)))[inverse]


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
    properties: dict[str, np.ndarray],
    name: str,
    *,
    ood_size: int,
    id_fraction: float,
    seed: int,
    shared_generator: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Folds ``train``, ``id`` and ``ood`` of one property, as BOOM draws them.

    OOD are the ``ood_size`` molecules of lowest density. Row by row, a molecule that is not OOD draws from
    Python's ``random.Random(seed)`` and is ``id`` where the draw is below ``id_fraction``.

    Args:
        properties: values of every property in the registry's order, float64 [n] each.
        name: the property to split by.
        ood_size: molecules in the OOD fold.
        id_fraction: share of the others that becomes the ID test fold.
        seed: seed of the generator.
        shared_generator: one generator draws for all properties in turn, row by row (BOOM's 10K CSD);
            otherwise each property has its own (BOOM's QM9).

    Returns:
        fold (str [n]) and density (float64 [n]; unit: one over the property's).
    """
    drawing = list(properties) if shared_generator else [name]
    density = {drawn: gaussian_kde(properties[drawn]) for drawn in drawing}
    ood = {drawn: lowest(density[drawn], ood_size) for drawn in drawing}
    fold = np.where(ood[name], "ood", "train").astype("<U5")
    generator = random.Random(seed)
    for row in range(len(fold)):
        for drawn in drawing:
            if not ood[drawn][row] and generator.random() < id_fraction and drawn == name:
                fold[row] = "id"
    return fold, density[name]
