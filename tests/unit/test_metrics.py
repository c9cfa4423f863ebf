import warnings

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from boomlib.evaluation.metrics import METRICS, mid_ranks

SKLEARN = {
    "rmse": sk.root_mean_squared_error,
    "mae": sk.mean_absolute_error,
    "r2": sk.r2_score,
    "pearson": lambda y, p: stats.pearsonr(y, p).statistic,
    "spearman": lambda y, p: stats.spearmanr(y, p).statistic,
    "bias": lambda y, p: np.mean(p) - np.mean(y),
}


@pytest.mark.parametrize("name", METRICS)
def test_equals_sklearn_and_scipy(name):
    rng = np.random.default_rng(3)
    y = rng.normal(size=200).round(1) + 50  # rounded: with ties
    p = (0.5 * y + rng.normal(size=200)).round(1)
    assert METRICS[name].function(y, p) == pytest.approx(SKLEARN[name](y, p), rel=1e-12)


def test_hand_computed():
    y, p = np.array([1.0, 2.0, 3.0, 6.0]), np.array([2.0, 2.0, 5.0, 3.0])
    found = {name: metric.function(y, p) for name, metric in METRICS.items()}
    # errors 1, 0, 2, -3; SS_tot = 4 + 1 + 0 + 9; ranks 1 2 3 4 and 1.5 1.5 4 3
    assert found["rmse"] == pytest.approx(np.sqrt(14 / 4))
    assert found["mae"] == pytest.approx(1.5)
    assert found["r2"] == pytest.approx(0)
    assert found["bias"] == 0
    assert found["pearson"] == pytest.approx(3 / np.sqrt(14 * 6))
    assert found["spearman"] == pytest.approx(3.5 / np.sqrt(5 * 4.5))


def test_mid_ranks_are_shared():
    assert mid_ranks(np.array([5.0, 1.0, 5.0, 9.0])).tolist() == [2.5, 1, 2.5, 4]


@pytest.mark.parametrize("y", [[0.1, 0.1, 0.1], [7.0]])
def test_undefined_is_nan_without_a_warning(y):
    y = np.array(y)
    varied = np.arange(len(y), dtype=float)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(METRICS["r2"].function(y, varied))
        for name in ("pearson", "spearman"):
            assert np.isnan(METRICS[name].function(y, varied))
            assert np.isnan(METRICS[name].function(varied, y))


def test_registry_agrees_with_the_functions():
    rng = np.random.default_rng(0)
    y = rng.normal(size=50)
    for name, metric in METRICS.items():
        assert metric.name == name
        low, high = metric.bounds
        perfect, worse = metric.function(y, y), metric.function(y, y[::-1] + 3)
        assert low <= worse <= high
        best = {"min": low, "max": high, "zero": 0}[metric.direction]
        assert perfect == pytest.approx(best)
        assert metric.arrow == {"min": "↓", "max": "↑", "zero": "→0"}[metric.direction]
        # a metric in the property's unit scales with it, any other one does not
        factor = 10 if metric.unit == "property" else 1
        assert metric.function(10 * y, 10 * (y[::-1] + 3)) == pytest.approx(factor * worse)
