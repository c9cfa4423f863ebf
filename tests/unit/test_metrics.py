import warnings

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from boomlib.evaluation.metrics import METRICS, mid_ranks

MEDIAN = 50.0  # of train's labels
SKLEARN = {
    "rmse": sk.root_mean_squared_error,
    "mae": sk.mean_absolute_error,
    "r2": sk.r2_score,
    "pearson": lambda y, p: stats.pearsonr(y, p).statistic,
    "spearman": lambda y, p: stats.spearmanr(y, p).statistic,
    "bias": lambda y, p: np.mean(p) - np.mean(y),
    "r2_binned": lambda y, p: (
        (sk.r2_score(y[y < MEDIAN], p[y < MEDIAN]) + sk.r2_score(y[y >= MEDIAN], p[y >= MEDIAN])) / 2
    ),
    "median_ae": sk.median_absolute_error,
    "rmse_trimmed": lambda y, p: np.sqrt(np.mean(np.sort(np.abs(p - y))[:-2] ** 2)),
    "worst_five_share": lambda y, p: 1 - sum(sorted((p - y) ** 2)[:-5]) / np.sum((p - y) ** 2),
}


@pytest.mark.parametrize("name", METRICS)
def test_equals_sklearn_and_scipy(name):
    rng = np.random.default_rng(3)
    y = rng.normal(size=200).round(1) + 50  # rounded: with ties
    p = (0.5 * y + rng.normal(size=200)).round(1)
    assert METRICS[name].compute(y, p, MEDIAN) == pytest.approx(SKLEARN[name](y, p), rel=1e-12)


def test_hand_computed():
    y, p = np.array([1.0, 2.0, 3.0, 6.0]), np.array([2.0, 2.0, 5.0, 3.0])
    found = {name: metric.compute(y, p, median=2.5) for name, metric in METRICS.items()}
    # errors 1, 0, 2, -3; SS_tot = 4 + 1 + 0 + 9; ranks 1 2 3 4 and 1.5 1.5 4 3
    assert found["rmse"] == pytest.approx(np.sqrt(14 / 4))
    assert found["mae"] == pytest.approx(1.5)
    assert found["r2"] == pytest.approx(0)
    assert found["bias"] == 0
    assert found["pearson"] == pytest.approx(3 / np.sqrt(14 * 6))
    assert found["spearman"] == pytest.approx(3.5 / np.sqrt(5 * 4.5))
    # below 2.5 SS_res = 1 and SS_tot = 0.5, above it 4 + 9 and 4.5
    assert found["r2_binned"] == pytest.approx(((1 - 1 / 0.5) + (1 - 13 / 4.5)) / 2)
    assert found["median_ae"] == 1.5
    assert found["rmse_trimmed"] == pytest.approx(np.sqrt(5 / 3))  # without the error of -3
    assert found["worst_five_share"] == 1


def test_binned_r2_does_not_reward_telling_one_end_from_the_other():
    y = np.array([1.0, 2.0, 99.0, 100.0])
    p = np.array([2.0, 1.0, 100.0, 99.0])
    assert METRICS["r2"].function(y, p) > 0.99
    assert METRICS["r2_binned"].function(y, p, 50.0) == pytest.approx(-3)
    assert METRICS["r2_binned"].function(y, p, 99.0) == pytest.approx(-3), "a label that is the median is above it"


@pytest.mark.parametrize("median", [0.5, 1.0, 1.5, 2.0, 3.0, 3.5])
def test_binned_r2_is_undefined_where_a_bin_is_empty_or_constant(median):
    y = np.array([1.0, 2.0, 2.0, 3.0])
    value = METRICS["r2_binned"].function(y, y + 1, median)
    assert np.isnan(value), "one of the bins is empty or constant"
    assert np.isfinite(METRICS["r2_binned"].function(np.array([1.0, 2.0, 3.0, 4.0]), y, 2.5))


def test_one_in_a_hundred_is_left_out_and_five_are_the_worst():
    error = np.full(201, 1.0)
    error[[7, 70, 170]] = 100, -50, 10
    y = np.zeros(201)
    assert METRICS["rmse_trimmed"].function(y, error) == 1  # ⌈2.01⌉ = 3
    assert METRICS["rmse_trimmed"].function(y[:200], error[:200]) == pytest.approx(np.sqrt((197 + 100) / 198))
    assert METRICS["worst_five_share"].function(y, error) == pytest.approx((12600 + 2) / (12600 + 198))
    assert METRICS["median_ae"].function(y, error) == 1


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
        assert np.isnan(METRICS["r2_binned"].function(y, varied, y[0]))
        assert np.isnan(METRICS["worst_five_share"].function(y, y))
        assert np.isnan(METRICS["rmse_trimmed"].function(y[:1], varied[:1])), "one molecule, and it is the worst"


def test_registry_agrees_with_the_functions():
    rng = np.random.default_rng(0)
    y = rng.normal(size=50)
    for name, metric in METRICS.items():
        assert metric.name == name
        low, high = metric.bounds
        perfect, worse = metric.compute(y, y, 0.1), metric.compute(y, y[::-1] + 3, 0.1)
        assert low <= worse <= high
        best = {"min": low, "max": high, "zero": 0, "none": np.nan}[metric.direction]
        assert perfect == pytest.approx(best, nan_ok=True)
        assert metric.arrow == {"min": "↓", "max": "↑", "zero": "→0", "none": ""}[metric.direction]
        # a metric in the property's unit scales with it, any other one does not
        factor = 10 if metric.unit == "property" else 1
        assert metric.compute(10 * y, 10 * (y[::-1] + 3), 1.0) == pytest.approx(factor * worse)
