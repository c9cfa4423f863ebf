import json

import numpy as np
import pytest
from scipy.stats import betabinom, binom

from boomlib.evaluation.conformal import (
    NORMALISED,
    PLAIN,
    Calibration,
    choose_interval,
    combine_seeds,
    has_spread,
    score_intervals,
)
from boomlib.files import ContractError


def draw(n, seed):
    """Labels, predictions and their spread of n exchangeable molecules, whose errors are as large as the spread."""
    generator = np.random.default_rng(seed)
    spread = generator.uniform(0.5, 3, n)
    y = generator.normal(size=n)
    return y, y + spread * generator.normal(size=n), spread


def count_inside(calibration, y, y_pred, y_std):
    ends = calibration.interval(y_pred, y_std)
    return int(((ends[:, 0] <= y) & (y <= ends[:, 1])).sum())


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("confidence", [0.5, 0.9])
def test_intervals_hold_what_they_promise_on_exchangeable_molecules(normalised, confidence):
    # of 99 that calibrate and one that is asked: the guarantee is over both
    rounds = 400
    inside = 0
    for seed in range(rounds):
        y, y_pred, y_std = draw(100, seed)
        fitted = Calibration.fit(y[:-1], y_pred[:-1], y_std[:-1] if normalised else None, confidence)
        inside += count_inside(fitted, y[-1:], y_pred[-1:], y_std[-1:])
    low, high = binom.ppf([1e-4, 1 - 1e-4], rounds, [confidence, confidence + 0.01])  # at most one rank above
    assert low <= inside <= high


def test_normalised_widths_follow_the_spread_down_to_a_tenth_of_its_median():
    y, y_pred, y_std = draw(200, 0)
    fitted = Calibration.fit(y, y_pred, y_std)
    ends = fitted.interval(np.zeros(4), np.median(y_std) * np.array([2.0, 1.0, 0.1, 0.0]))
    widths = ends[:, 1] - ends[:, 0]
    np.testing.assert_allclose(widths / widths[1], [2, 1, 0.1, 0.1])
    assert (ends.sum(axis=1) == 0).all()
    plain = Calibration.fit(y, y_pred)
    assert np.ptp(np.diff(plain.interval(y_pred, y_std), axis=1)) < 1e-12


def test_a_calibration_by_hand():
    errors = np.arange(1.0, 20.0)  # 19 molecules: 18 of 20 places lie below the second largest error, 90 %
    fitted = Calibration.fit(np.zeros(19), errors, confidence=0.9)
    assert fitted.factor == 18
    assert fitted.interval(np.array([5.0])).tolist() == [[-13, 23]]


def test_nine_molecules_calibrate_90_percent_by_their_largest_error():
    fitted = Calibration.fit(np.zeros(9), np.arange(9.0))  # as of 99 and 999, rounding shifts the rank
    assert fitted.factor == 8
    assert fitted.find_chance(0, 5) == betabinom.cdf(0, 5, 9, 1)


def test_too_few_molecules_calibrate_no_width():
    fitted = Calibration.fit(np.zeros(8), np.arange(8.0))
    assert fitted.interval(np.zeros(1)).tolist() == [[-np.inf, np.inf]]
    assert Calibration.from_json(json.loads(json.dumps(fitted.to_json(), allow_nan=False))) == fitted
    assert fitted.find_chance(0, 5) == 1


@pytest.mark.parametrize("normalised", [False, True])
def test_a_calibration_comes_back_from_json(normalised):
    y, y_pred, y_std = draw(50, 0)
    fitted = Calibration.fit(y, y_pred, y_std if normalised else None)
    read = Calibration.from_json(json.loads(json.dumps(fitted.to_json())))
    np.testing.assert_array_equal(read.interval(y_pred, y_std), fitted.interval(y_pred, y_std))


def test_normalised_intervals_want_a_spread():
    y, y_pred, y_std = draw(50, 0)
    with pytest.raises(ContractError, match="want one with each prediction"):
        Calibration.fit(y, y_pred, y_std).interval(y_pred)


def test_how_unlikely_a_coverage_is_is_counted_over_calibrations_too():
    rounds, n, calibration = 400, 40, 30
    counts = []
    for seed in range(rounds):
        y, y_pred, y_std = draw(calibration + n, seed)
        fitted = Calibration.fit(y[:calibration], y_pred[:calibration])
        counts.append(count_inside(fitted, y[calibration:], y_pred[calibration:], y_std[calibration:]))
    chance = fitted.find_chance(31, n)
    assert chance == betabinom.cdf(31, n, 28, 3)
    low, high = binom.ppf([1e-4, 1 - 1e-4], rounds, chance)
    assert low <= (np.array(counts) <= 31).sum() <= high


def test_the_interval_is_chosen_that_scores_better_on_halves_of_valid():
    y, y_pred, y_std = draw(400, 0)
    assert choose_interval(y, y_pred, y_std) == NORMALISED
    assert choose_interval(y, y_pred, y_std[::-1]) == PLAIN  # a spread that has nothing to do with the error
    assert choose_interval(y, y_pred, None) == PLAIN
    assert choose_interval(y[:10], y_pred[:10], y_std[:10]) == PLAIN


def test_a_spread_that_is_nothing_in_a_half_of_valid_divides_nothing_by_nothing():
    y, y_pred, y_std = draw(40, 0)
    first = np.random.default_rng(0).permutation(40) < 20
    with np.errstate(all="raise"):
        choose_interval(y, y_pred, np.where(first, 0, y_std))


def test_the_interval_score_by_hand():
    ends = np.array([[0.0, 2.0], [0.0, 2.0], [0.0, 2.0]])
    assert score_intervals(np.array([1.0, 3.0, -0.5]), ends, 0.9) == pytest.approx(2 + 20 * (0 + 1 + 0.5) / 3)


def test_seeds_are_combined_by_the_law_of_total_variance():
    y_pred, y_std = np.array([[1.0, 2.0], [3.0, 2.0]]), np.array([[1.0, 0.0], [3.0, 2.0]])
    mean, spread = combine_seeds(y_pred, y_std)
    assert mean.tolist() == [2, 2]
    np.testing.assert_allclose(spread, np.sqrt([2 + 5, 0 + 2]))
    np.testing.assert_allclose(combine_seeds(y_pred, None)[1], [np.sqrt(2), 0])
    alone = combine_seeds(y_pred[:1], None)
    assert (alone[0].tolist(), alone[1]) == ([1, 2], None)
    np.testing.assert_array_equal(combine_seeds(y_pred[:1], y_std[:1])[1], y_std[0])


def test_rounding_is_no_spread():
    y = np.array([1e3, 2e3, -4e3])
    assert not has_spread(y, None)
    assert not has_spread(y, np.full(3, 1e-12))
    assert not has_spread(y, np.array([0, 0, 5.0]))
    assert has_spread(y, np.full(3, 1e-3))
