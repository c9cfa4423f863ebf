"""BOOM's split by property density: the molecules with the rarest values of the property are OOD.

Definition: Antoniuk et al., arXiv 2505.01912, and BOOM's ``prepare_splits_10k.py`` / ``prepare_splits_qm9.py``.
"""

import random
from typing import Literal

import numpy as np

from boomlib.files import DATASET_ENTRY, ContractError
from boomlib.labels import SAME, is_nearly_constant
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
# Values beyond a gap of so many bandwidths are counted from an origin of their own: 2⁵² cells from one, float64 tells
# cells no longer apart. No property of BOOM has such a gap.
GAP = 2.0**20
# Binary digits of a density that are kept where another unit of the property must give the same folds.
DIGITS = 33

Bandwidth = Literal["scaled", "unscaled"]


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
    far = np.flatnonzero(np.diff(points) > GAP * bandwidth) + 1
    group = np.searchsorted(far, np.arange(len(points)), "right")
    scaled = (points - points[np.append(0, far)][group]) / bandwidth
    cell = np.floor(scaled / CELL)
    offset = scaled - (cell + 0.5) * CELL
    # cells of two groups are no neighbours
    lengths = cell[np.append(far, len(points)) - 1] + 2 * REACH
    cell += np.append(0.0, np.cumsum(lengths[:-1]))[group]
    occupied, member = np.unique(cell, return_inverse=True)
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


def find_spread(values: np.ndarray) -> float:
    """Silverman's robust spread (Density Estimation, 1986, equation 3.30): min(σ, IQR / 1.349).

    σ where the middle half of the values is one value, 1 where all are.
    """
    if np.ptp(values) == 0:
        return 1.0
    deviation = float(values.std())
    low, high = np.quantile(values, (0.25, 0.75))
    middle = float(high - low) / 1.349
    return min(deviation, middle) if middle > SAME * deviation else deviation


def scaled_kde(values: np.ndarray) -> np.ndarray:
    """:func:`gaussian_kde` with the bandwidth times :func:`find_spread`, float64 [n], one over the property's unit.

    In another unit the values are ordered alike: the digits in which its rounding shows are cut off.
    """
    spread = find_spread(values)
    mantissa, exponent = np.frexp(gaussian_kde(values / spread))
    return np.ldexp(np.round(np.ldexp(mantissa, DIGITS)), exponent - DIGITS) / spread  # type: ignore[no-any-return]  # NumPy's ldexp is Any


def lowest(density: np.ndarray, size: int) -> np.ndarray:
    """Mark the ``size`` lowest densities, bool [n]; ties at the threshold go to the lower molecule_id."""
    marked = np.zeros(len(density), dtype=bool)
    marked[np.argsort(density, kind="stable")[:size]] = True
    return marked


def count_ties(density: np.ndarray, size: int) -> tuple[int, int]:
    """How many molecules share the density at which OOD ends, and how many of them are in OOD; 0, 0 if all are."""
    ordered = np.sort(density)
    threshold = ordered[size - 1]
    first, last = np.searchsorted(ordered, (threshold * (1 - SAME), threshold * (1 + SAME)))
    return (int(last - first), int(size - first)) if last > size else (0, 0)


def check_ties(tied: int, inside: int, size: int, n: int, bandwidth: Bandwidth) -> None:
    """Raise :class:`ContractError` where rarity decides little of OOD: most of it are less than half of equals.

    Args:
        tied: molecules that share the density at which OOD ends.
        inside: how many of them are in OOD.
        size: molecules in OOD.
        n: all molecules.
        bandwidth: what they are rare by.
    """
    if 2 * inside <= size or tied <= 2 * inside:
        return
    untied = [each for each in (size - inside, size - inside + tied) if 0 < each <= n / 2]
    remedies = [f"`split.ood_size: {each}`" for each in untied]
    remedies += ["`split.bandwidth: scaled`"] if bandwidth == "unscaled" else []
    settings = f"set {' or '.join(remedies)} in {DATASET_ENTRY}, or " if remedies else ""
    raise ContractError(
        f"{tied} of {n} molecules have values that are equally rare, and {inside} of the {size} in OOD would be the "
        f"first of these in the file; {settings}split by another scheme (`schemes: [scaffold]`)"
    )


def assign(
    table: SplitInput,
    *,
    ood_size: int,
    id_fraction: float,
    seed: int,
    shared_generator: bool,
    bandwidth: Bandwidth,
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
        bandwidth: ``scaled`` to the spread of the values, so that the folds are the same in any unit; or ``unscaled``,
            BOOM's, which is a length in the property's unit.

    Returns:
        fold (str [n]), density (float64 [n]; unit: one over the property's) and how many are tied at the threshold.

    Raises:
        ContractError: which molecules are OOD would be chance, see :func:`check_ties`; not where the property is
            nearly constant, which has no rare values and from which nothing can be learnt.
    """
    drawing = list(table.values) if shared_generator else [table.property]
    if not all(np.isfinite(table.values[drawn]).all() for drawn in drawing):
        raise ContractError(
            "some molecules lack a label of another property, so that one generator cannot draw for all properties in "
            f"turn; leave out `split.shared_generator` in {DATASET_ENTRY}"
        )
    estimate = scaled_kde if bandwidth == "scaled" else gaussian_kde
    density = {drawn: estimate(table.values[drawn]) for drawn in drawing}
    ood = {drawn: lowest(density[drawn], ood_size) for drawn in drawing}
    fold = np.where(ood[table.property], "ood", "train").astype("<U5")
    generator = random.Random(seed)
    for row in range(len(fold)):
        for drawn in drawing:
            if not ood[drawn][row] and generator.random() < id_fraction and drawn == table.property:
                fold[row] = "id"
    cut = density[table.property]
    tied, inside = count_ties(cut, ood_size)
    if not is_nearly_constant(table.values[table.property]):
        check_ties(tied, inside, ood_size, len(fold), bandwidth)
    return fold, cut, {"tied_at_threshold": tied}
