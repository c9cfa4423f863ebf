import warnings

import numpy as np
import pytest

from boomlib.evaluation import bootstrap
from boomlib.evaluation.bootstrap import bootstrap_intervals, draw_weights, weighted_metrics
from boomlib.evaluation.metrics import METRICS

MEDIAN = 1000.0  # of train's labels, amid those of tied_data
MEASURED = {name: metric for name, metric in METRICS.items() if metric.interval}


def tied_data(n, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.normal(1000, 1, size=n).round(1)
    return y, (y + rng.normal(size=n)).round(1)


@pytest.mark.parametrize("n", [1, 2, 5, 80, 201])
def test_equals_a_loop_over_resamples(n):
    y, p = tied_data(n)
    weights = np.concatenate(list(draw_weights(n, 60, seed=1)), axis=1)
    found = weighted_metrics(y, p, weights, median=MEDIAN)
    assert list(found) == list(MEASURED)
    for column, counts in enumerate(weights.T.astype(int)):
        rows = np.repeat(np.arange(n), counts)
        for name, metric in MEASURED.items():
            expected = metric.compute(y[rows], p[rows], MEDIAN)
            assert found[name][column] == pytest.approx(expected, rel=1e-9, abs=1e-9, nan_ok=True), name


def test_interval_is_the_percentiles_of_the_loop():
    y, p = tied_data(30)
    rows = [np.repeat(np.arange(30), w) for w in next(draw_weights(30, 200, seed=0)).T.astype(int)]
    intervals = bootstrap_intervals(y, p, median=MEDIAN, resamples=200)
    for name, metric in MEASURED.items():
        values = [metric.compute(y[r], p[r], MEDIAN) for r in rows]
        assert intervals[name] == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])), rel=1e-9)


def test_weights_are_resamples():
    weights = np.concatenate(list(draw_weights(50, 4000, seed=0)), axis=1)
    assert weights.shape == (50, 4000)
    assert (weights.sum(axis=0) == 50).all()
    assert weights.mean(axis=1) == pytest.approx(np.ones(50), abs=0.1)
    assert weights.var() == pytest.approx(1 - 1 / 50, abs=0.02)


def test_blocks_do_not_change_the_result(monkeypatch):
    y, p = tied_data(37)
    whole = bootstrap_intervals(y, p, median=MEDIAN, resamples=101)
    monkeypatch.setattr(bootstrap, "BLOCK", 37 * 7)
    blocks = bootstrap_intervals(y, p, median=MEDIAN, resamples=101)
    for name in METRICS:
        assert blocks[name] == pytest.approx(whole[name], rel=1e-12, nan_ok=True)


def test_coverage_on_normal_data():
    rng = np.random.default_rng(5)
    cov = np.array([[1, 0.6], [0.6, 1]])
    truth = {
        "rmse": np.sqrt(0.8),
        "mae": np.sqrt(0.8) * np.sqrt(2 / np.pi),
        "bias": 0,
        "pearson": 0.6,
        "r2": 0.2,
        "median_ae": np.sqrt(0.8) * 0.67449,
    }
    hits = dict.fromkeys(truth, 0)
    for _ in range(300):
        y, p = rng.multivariate_normal([0, 0], cov, size=100).T
        intervals = bootstrap_intervals(y, p, median=0, resamples=300)
        for name, value in truth.items():
            low, high = intervals[name]
            hits[name] += low <= value <= high
    for name, count in hits.items():
        assert 0.89 <= count / 300 <= 0.99, name


def test_undefined_is_nan_without_a_warning():
    y = np.full(5, 0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        intervals = bootstrap_intervals(y, y + 2, median=0.1, resamples=50)
    assert intervals["rmse"] == pytest.approx((2, 2))
    for name in ("r2", "pearson", "spearman", "r2_binned", "worst_five_share"):
        assert np.isnan(intervals[name]).all()
