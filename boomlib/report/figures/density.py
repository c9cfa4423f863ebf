"""Many points as a two-dimensional histogram, for panels of true against predicted values."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from boomlib.report.figures.style import FOLD_COLOURS

CROWDED = 2000
"""Points in a panel from which they are drawn as a histogram."""


def draw_density(
    ax: Axes,
    first: tuple,
    second: tuple,
    limits: tuple[float, float],
    bins: int = 90,
    folds: tuple[str, str] = ("id", "ood"),
) -> None:
    """Two sets of (true, predicted) as one histogram: the hue is the share of the second, the strength the count.

    The sets have the colours of ``folds``.
    """
    edges = np.linspace(*limits, bins + 1)
    counts = [np.histogram2d(*points, bins=(edges, edges))[0].T for points in (first, second)]
    total = counts[0] + counts[1]
    share = counts[1] / np.maximum(total, 1)
    low, high = (np.array(to_rgb(FOLD_COLOURS[name])) for name in folds)
    image = np.empty((bins, bins, 4))
    image[..., :3] = low + share[..., None] * (high - low)
    strength = np.log1p(total) / np.log1p(total.max() or 1)
    image[..., 3] = np.where(total > 0, 0.3 + 0.7 * strength, 0)
    ax.imshow(image, extent=(*limits, *limits), origin="lower", interpolation="nearest", zorder=2)
