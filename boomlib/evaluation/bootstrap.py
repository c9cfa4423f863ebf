"""Percentile bootstrap intervals of all metrics at once (Efron & Tibshirani 1993, chapter 13).

A resample of n molecules with replacement is the number of times that each one is drawn. With these counts as
weights, all metrics of a block of resamples are a few matrix operations instead of a loop over resamples.
"""

from collections.abc import Iterator

import numpy as np

from boomlib.evaluation.metrics import METRICS, count_trimmed

BLOCK = 1 << 19
"""Weights held in memory at once (4 MiB); blocks change the speed and not the result."""


def draw_weights(n: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Yield the counts of multinomial resamples of n molecules, float64 [n, block], ``resamples`` in all.

    The counts depend on ``n`` and ``seed`` alone, so that all models of a fold see the same resamples.
    """
    generator = np.random.default_rng(seed)
    width = max(1, min(resamples, BLOCK // n))
    for start in range(0, resamples, width):
        block = min(width, resamples - start)
        drawn = generator.integers(n, size=(block, n))
        cells = drawn * block + np.arange(block)[:, None]
        yield np.bincount(cells.ravel(), minlength=n * block).reshape(n, block).astype(np.float64)


def centred_ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mid-ranks of ``values`` within each resample less their mean (n + 1)/2, [n, block]; exact in float64.

    A value that occurs t times in a resample, above s others, has the mid-rank s + (t + 1)/2.
    """
    n = len(values)
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    cumulative = np.zeros((n + 1, weights.shape[1]))
    np.cumsum(weights[order], axis=0, out=cumulative[1:])
    below = cumulative[np.searchsorted(ordered, values, "left")]
    below += cumulative[np.searchsorted(ordered, values, "right")]
    below -= n
    below /= 2
    return below


def weighted_r2(y_true: np.ndarray, y_pred: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """R² on each resample of molecules of one bin, [block]; NaN where the labels drawn are constant, or none is drawn.

    Args:
        y_true: float64 [n], n ≥ 0.
        y_pred: float64 [n].
        weights: how often each molecule occurs, [n, block]; columns may sum to anything.
    """
    drawn = weights > 0
    lowest = np.where(drawn, y_true[:, None], np.inf).min(axis=0, initial=np.inf)
    highest = np.where(drawn, y_true[:, None], -np.inf).max(axis=0, initial=-np.inf)
    x = y_true - y_true.mean() if len(y_true) else y_true
    terms = np.stack([np.ones_like(x), (y_pred - y_true) ** 2, x, x**2])
    n, ee, sx, sxx = np.einsum("ij,jk->ik", terms, weights)
    return np.where(lowest < highest, 1 - ee / (sxx - sx**2 / n), np.nan)


def weighted_order_metrics(error: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """The metrics of errors in their order, ``median_ae`` and ``rmse_trimmed``, on each resample, [block] each.

    Args:
        error: float64 [n].
        weights: how often each molecule occurs, [n, block]; each column sums to n.
    """
    n = len(error)
    kept = n - count_trimmed(n)
    order = np.argsort(np.abs(error), kind="stable")
    ordered = np.abs(error)[order]
    drawn = np.cumsum(weights[order], axis=0)
    # the k-th smallest is the first up to which k are drawn
    lower, upper = (ordered[(drawn < k).sum(axis=0)] for k in ((n + 1) // 2, n // 2 + 1))
    counted = np.diff(np.minimum(drawn, kept), axis=0, prepend=0)
    return {
        "median_ae": (lower + upper) / 2,
        "rmse_trimmed": np.sqrt(np.einsum("i,ij->j", ordered**2, counted) / kept),
    }


def weighted_metrics(
    y_true: np.ndarray, y_pred: np.ndarray, weights: np.ndarray, *, median: float
) -> dict[str, np.ndarray]:
    """Every metric of :data:`METRICS` that has an interval on each resample.

    Args:
        y_true: float64 [n].
        y_pred: float64 [n].
        weights: how often each molecule occurs, [n, block]; each column sums to n.
        median: of train's labels.

    Returns:
        Float64 [block] by metric; NaN where undefined.
    """
    n = len(y_true)
    error = y_pred - y_true
    # sums of squares about a resample's mean lose few digits if the values are centred beforehand
    x, y = y_true - y_true.mean(), y_pred - y_pred.mean()
    terms = np.stack([error, np.abs(error), error**2, x, x**2, y, y**2, x * y])
    # not `@`: BLAS threads that share a busy machine make this thin product up to fifty times slower
    e, abs_e, ee, sx, sxx, sy, syy, sxy = np.einsum("ij,jk->ik", terms, weights)
    sxx, syy, sxy = sxx - sx**2 / n, syy - sy**2 / n, sxy - sx * sy / n

    rank_x, rank_y = centred_ranks(y_true, weights), centred_ranks(y_pred, weights)
    rank_sxy = np.einsum("ij,ij,ij->j", weights, rank_x, rank_y)
    rank_sxx = np.einsum("ij,ij,ij->j", weights, rank_x, rank_x)
    rank_syy = np.einsum("ij,ij,ij->j", weights, rank_y, rank_y)
    bins = y_true < median, y_true >= median
    # the ranks are exact, so their variance is zero just where a resample is constant
    constant_x, constant_y = rank_sxx == 0, rank_syy == 0

    with np.errstate(divide="ignore", invalid="ignore"):
        metrics = {
            "rmse": np.sqrt(ee / n),
            "mae": abs_e / n,
            "r2": np.where(constant_x, np.nan, 1 - ee / sxx),
            "pearson": np.where(constant_x | constant_y, np.nan, sxy / np.sqrt(sxx * syy)),
            "spearman": rank_sxy / np.sqrt(rank_sxx * rank_syy),
            "bias": e / n,
            "r2_binned": sum(weighted_r2(y_true[rows], y_pred[rows], weights[rows]) for rows in bins) / len(bins),
            **weighted_order_metrics(error, weights),
        }
    return {name: np.clip(values, *METRICS[name].bounds) for name, values in metrics.items()}


def bootstrap_intervals(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    *,
    median: float,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Percentile bootstrap interval of every metric over the molecules.

    Args:
        y_true: float64 [n], n ≥ 1, in the property's unit.
        y_pred: float64 [n].
        median: of train's labels.
        resamples: number of resamples.
        level: coverage that the interval aims at.
        seed: seed of the resamples.

    Returns:
        (low, high) by metric, over the resamples on which the metric is defined; NaN if there is none, and for a
        metric that has no interval.
    """
    drawn = draw_weights(len(y_true), resamples, seed)
    blocks = [weighted_metrics(y_true, y_pred, weights, median=median) for weights in drawn]
    tails = [(1 - level) / 2, (1 + level) / 2]
    intervals = dict.fromkeys(METRICS, (float("nan"), float("nan")))
    for name in blocks[0]:
        values = np.concatenate([block[name] for block in blocks])
        values = values[np.isfinite(values)]
        low, high = np.quantile(values, tails) if len(values) else (np.nan, np.nan)
        intervals[name] = (float(low), float(high))
    return intervals
