import time

import numpy as np
import pytest

from boomlib.evaluation.bootstrap import bootstrap_intervals, draw_weights
from boomlib.evaluation.comparison import FEWEST, compare_to_best, resample_folds, resample_rmse
from boomlib.evaluation.metrics import rmse


def make_errors(n, seed=0):
    """Truth, and predictions of two models whose errors go together; the second is a little worse on all molecules."""
    rng = np.random.default_rng(seed)
    y, error = rng.normal(100, 30, size=n), rng.normal(size=n) * 5
    return y, y + error, y + 1.1 * error


def test_a_resamples_rmse_is_that_of_a_loop():
    y, p, _ = make_errors(40)
    drawn = np.concatenate(list(draw_weights(40, 60, seed=0)), axis=1).astype(int)
    rows = [np.repeat(np.arange(40), counts) for counts in drawn.T]
    np.testing.assert_allclose(resample_rmse(y, p, resamples=60), [rmse(y[r], p[r]) for r in rows], rtol=1e-12)


def test_all_models_see_the_resamples_of_the_intervals():
    y, p, _ = make_errors(50)
    interval = np.quantile(resample_rmse(y, p, resamples=200), [0.025, 0.975])
    assert bootstrap_intervals(y, p, median=0, resamples=200)["rmse"] == pytest.approx(tuple(interval))


def test_a_paired_interval_tells_what_the_single_ones_do_not():
    y, near, far = make_errors(60)
    intervals = [bootstrap_intervals(y, p, median=0)["rmse"] for p in (near, far)]
    assert intervals[0][1] > intervals[1][0], "the intervals overlap"
    values = {"near": rmse(y, near), "far": rmse(y, far)}
    behind = compare_to_best(values, {"near": resample_rmse(y, near), "far": resample_rmse(y, far)})
    assert behind["near"] == (0, 0)
    assert behind["far"] == pytest.approx([0.1 * end for end in intervals[0]])


def test_models_that_err_independently_are_told_apart_by_chance_in_few_of_the_cases():
    told = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        y, errors = np.zeros(80), rng.normal(size=(2, 80))
        values = dict(enumerate(np.sqrt((errors**2).mean(axis=1))))
        behind = compare_to_best(values, {i: resample_rmse(y, errors[i], resamples=200) for i in (0, 1)})
        told += max(low for low, _ in behind.values()) > 0
    assert told / 200 < 0.1


def test_a_diverged_model_is_behind_and_breaks_nothing():
    y, p, _ = make_errors(30)
    resampled = {"good": resample_rmse(y, p), "diverged": resample_rmse(y, np.full(30, 1e300))}
    assert compare_to_best({"good": rmse(y, p), "diverged": np.nan}, resampled) == {"good": (0, 0)}
    assert compare_to_best({"good": np.nan}, resampled) == {}


@pytest.mark.parametrize(
    ("id_", "ood", "told"), [(FEWEST, FEWEST, "id ood"), (1, 6, "ood"), (30, 5, "id"), (1, 1, ""), (0, 3, "")]
)
def test_few_molecules_tell_no_models_apart(id_, ood, told):
    fold = np.repeat(["train", "id", "ood"], [10, id_, ood])
    y = np.arange(len(fold), dtype=float)
    table = resample_folds(y, fold, y + 1, resamples=7)
    assert table.num_rows == 7
    assert " ".join(name for name in ("id", "ood") if table[name].to_pylist() == [1.0] * 7) == told
    assert all(np.isnan(table[name].to_numpy()).all() for name in ("id", "ood") if name not in told.split())


@pytest.mark.parametrize("label", [0.0, 3.7, -1e5])
def test_a_constant_tells_no_models_apart(label):
    fold = np.repeat(["train", "id", "ood"], [40, 10, 10])
    y = np.full(60, label)
    y[0] += 1  # one outlier in train
    y[-1] += 2
    assert np.isnan(resample_folds(y, fold, y, resamples=3)["ood"].to_numpy()).all()
    y[:3] += [1, 2, 3]
    assert resample_folds(y, fold, y, resamples=3)["ood"].to_pylist() == [0, 0, 0]


def test_ten_thousand_molecules_take_a_second():
    y, p, _ = make_errors(10_000)
    start = time.process_time()
    resample_rmse(y, p)
    assert time.process_time() - start < 4
