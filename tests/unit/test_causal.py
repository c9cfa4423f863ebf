from functools import partial
from math import log
from statistics import NormalDist

import numpy as np
import pytest
import torch
from torch.distributions import Categorical, MixtureSameFamily, Normal
from torch.nn.functional import binary_cross_entropy_with_logits

from boomlib.causal.balance import balance, fit_dictionary, tilt
from boomlib.causal.cross_fit import cross_fit, cross_fit_outcome
from boomlib.causal.density import (
    MIN_LOG_SCALE,
    Mixture,
    MixtureDensity,
    ShiftClassifier,
    classifier_loss,
    log_ratio_from_density,
    support,
)
from boomlib.causal.nuisance import fit_classifier, fit_density
from boomlib.causal.policy import contrast, estimates, gate, one_step, plug_in, policy_weights, weighted
from boomlib.files import ContractError

SHIFT = 0.5
# with A | X ~ N(X, 1), s(x, a, δ) ≥ 0.6 where δ(a-x) + δ²/2 ≤ -log 0.6
SUPPORTED = NormalDist().cdf((-log(0.6) - SHIFT**2 / 2) / SHIFT)
GATED_EFFECT = 2 * SHIFT * SUPPORTED


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def normal_log_ratio(x, a, shift=SHIFT):
    """log g(a-δ | x)/g(a | x) for A | X ~ N(x, 1)."""
    return shift * (a - x) - shift**2 / 2


def confounded(n, seed):
    """X, A | X ~ N(X, 1) and an outcome of mean 0 to which both contribute; under A + δ its mean is 2δ."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    a = x + rng.normal(size=n)
    return x, a, 2 * a + 3 * x + rng.normal(size=n)


# -- density ---------------------------------------------------------------------------------------------


def random_mixture(n, components, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    weight, mean, log_scale = torch.randn(3, n, components, generator=generator, dtype=dtype)
    return Mixture(torch.log_softmax(weight, -1), mean, 0.3 * log_scale)


@pytest.mark.parametrize("shape", [(6,), (6, 4), (6, 1)])
def test_log_prob_equals_torch(shape):
    mixture = random_mixture(6, 5)
    a = torch.linspace(-3, 3, int(np.prod(shape)), dtype=torch.float64).reshape(shape)
    theirs = MixtureSameFamily(Categorical(logits=mixture.log_weight), Normal(mixture.mean, mixture.log_scale.exp()))
    expected = theirs.log_prob(a) if len(shape) == 1 else theirs.log_prob(a.T).T
    assert torch.allclose(mixture.log_prob(a), expected)


def test_log_prob_of_no_rows():
    assert random_mixture(0, 3).log_prob(torch.zeros(0)).shape == (0,)


def test_a_single_normal_has_the_analytic_ratio():
    x, a = torch.randn(2, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    zero = torch.zeros(50, 1, dtype=torch.float64)
    mixture = Mixture(zero, x[:, None], zero)
    assert torch.allclose(log_ratio_from_density(mixture, a, SHIFT), normal_log_ratio(x, a))
    shifts = torch.linspace(-1, 1, 50, dtype=torch.float64)
    assert torch.allclose(log_ratio_from_density(mixture, a, shifts), normal_log_ratio(x, a, shifts))


def test_float32_survives_far_tails():
    head = MixtureDensity(3)
    h = torch.tensor([[1e3, -1e3, 1e3]], requires_grad=True)
    ratio = log_ratio_from_density(head(h), torch.tensor([50.0]), 0.1)
    (ratio + support(ratio)).sum().backward()
    assert torch.isfinite(ratio).all()
    assert torch.isfinite(h.grad).all()


def test_components_start_apart_and_never_collapse():
    head = MixtureDensity(2, components=4)
    mixture = head(torch.zeros(1, 2))
    assert mixture.mean.diff().min() > 0.5
    assert mixture.log_weight.exp().sum().item() == pytest.approx(1)
    assert (head(torch.full((1, 2), -1e4)).log_scale >= MIN_LOG_SCALE).all()


def test_support_is_the_ratio_of_densities_up_to_one():
    a = torch.linspace(-3, 3, 61)
    density = Normal(0, 1)
    at_shifted = density.log_prob(a) - density.log_prob(a + SHIFT)
    expected = (density.log_prob(a + SHIFT) - density.log_prob(a)).exp().clamp(max=1)
    assert torch.allclose(support(at_shifted), expected)
    assert support(torch.tensor([-200.0, 200.0])).tolist() == [1, 0]
    for threshold in (0, 0.6, 1):
        assert (gate(at_shifted.numpy(), threshold) == (expected.numpy() >= threshold)).all()


def test_classifier_loss_is_the_cross_entropy():
    natural, shifted = torch.randn(2, 40, generator=torch.Generator().manual_seed(2))
    labels = torch.cat((torch.zeros(40), torch.ones(40)))
    expected = binary_cross_entropy_with_logits(torch.cat((natural, shifted)), labels)
    assert classifier_loss(natural, shifted).item() == pytest.approx(expected.item(), rel=1e-6)


def test_classifier_has_a_gradient_in_treatment_and_features():
    h, a = torch.randn(5, 3, requires_grad=True), torch.randn(5, requires_grad=True)
    logit = ShiftClassifier(3, 8)(h, a)
    logit.sum().backward()
    assert logit.shape == (5,)
    assert a.grad.abs().min() > 0
    assert h.grad.abs().max() > 0


# -- policy ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threshold", [0, 0.6, 0.9])
def test_gated_change_of_variables(threshold):
    def log_g(a):
        return np.log(np.exp(-0.5 * a**2) + 0.8 * np.exp(-0.5 * ((a - 2.5) / 0.7) ** 2))

    def log_ratio(a):
        return log_g(a - SHIFT) - log_g(a)

    def h(a):
        return np.sin(a) + a**2

    # on a grid of which δ is a multiple the identity holds term by term
    a = np.arange(-12, 12, 0.01)
    g = np.exp(log_g(a)) / np.exp(log_g(a)).sum()
    opened, opened_before = gate(log_ratio(a + SHIFT), threshold), gate(log_ratio(a), threshold)
    weight = policy_weights(log_ratio(a), opened, opened_before, clip=np.inf)
    moved = np.where(opened, a + SHIFT, a)
    assert np.sum(weight * h(a) * g) == pytest.approx(np.sum(h(moved) * g), rel=1e-9)
    assert np.sum(weight * g) == pytest.approx(1, rel=1e-9)
    assert np.sum(h(moved) * g) != pytest.approx(np.sum(h(a) * g), rel=1e-3)
    if threshold:
        assert 0 < opened.mean() < 1
        assert weight.max() <= 1 + 1 / threshold


def test_weights_by_hand_and_clipped():
    log_ratio = np.array([*np.log([2, 2, 2, 2, 50]), 1e4, 1e4])
    opened, before = np.array([[1, 1, 0, 0, 1, 0, 0], [1, 0, 1, 0, 1, 1, 0]], dtype=bool)
    assert policy_weights(log_ratio, opened, before) == pytest.approx([2, 0, 3, 1, 20, 20, 1])
    assert policy_weights(log_ratio, opened, before, clip=2.5) == pytest.approx([2, 0, 2.5, 1, 2.5, 2.5, 1])


Y, M, MOVED = np.array([1.0, 2, 4, 8]), np.array([1.0, 1, 5, 6]), np.array([2.0, 3, 6, 6])
W, OPENED = np.array([2.0, 0, 1, 1]), np.array([True, True, True, False])


def test_one_step_and_contrast_by_hand():
    # w(Y - m) + m(d): 0 + 2, 0 + 3, -1 + 6, 2 + 6
    pseudo = np.array([2.0, 3, 5, 8])
    for found, values in ((one_step(Y, M, MOVED, W, OPENED), pseudo), (contrast(Y, M, MOVED, W, OPENED), pseudo - Y)):
        error = values.std(ddof=1) / 2
        assert found.psi == pytest.approx(values.mean())
        assert found.standard_error == pytest.approx(error)
        assert (found.low, found.high) == pytest.approx((found.psi - 1.96 * error, found.psi + 1.96 * error), abs=1e-4)
        assert found.effective_sample_size == pytest.approx(16 / 6)
        assert (found.abstention, found.n) == (0.25, 4)
    assert found.as_dict()["psi"] == found.psi
    assert len(found.as_dict()) == 7


def test_plug_in_and_weighted_by_hand():
    assert plug_in(MOVED, OPENED).psi == pytest.approx(17 / 4)
    assert plug_in(MOVED, OPENED).effective_sample_size == 4
    found = weighted(Y, W, OPENED)
    assert found.psi == pytest.approx(14 / 4)
    influence = W * (Y - 14 / 4)
    assert found.standard_error == pytest.approx(influence.std(ddof=1) / 2)
    # the zero of the outcome is arbitrary
    assert weighted(Y + 100, 3 * W, OPENED).psi == pytest.approx(found.psi + 100)


def test_estimates_shift_only_where_supported():
    ratio = np.log([2.0, 3, 4, 5])
    found = estimates(Y, M, MOVED, ratio, OPENED, ~OPENED)
    moved = np.where(OPENED, MOVED, M)
    weight = policy_weights(ratio, OPENED, ~OPENED)
    assert found["one_step"] == one_step(Y, M, moved, weight, OPENED)
    assert found["contrast"] == contrast(Y, M, moved, weight, OPENED)
    assert found["plug_in"] == plug_in(moved, OPENED)
    assert found["weighted"] == weighted(Y, weight, OPENED)


def test_either_nuisance_may_be_wrong():
    x, a, y = confounded(100_000, seed=0)
    opened, truth = np.ones(len(a), dtype=bool), 2 * SHIFT

    def m(a):
        return 2 * a + 3 * x

    def wrong(a):
        return 3.5 * a

    # the wrong ratio is that of the marginal density, A ~ N(0, 2)
    right_ratio = np.exp(normal_log_ratio(x, a))
    wrong_ratio = np.exp(normal_log_ratio(0, a / np.sqrt(2), SHIFT / np.sqrt(2)))

    def is_right(outcome, ratio):
        found = contrast(y, outcome(a), outcome(a + SHIFT), ratio, opened)
        return abs(found.psi - truth) < 4 * found.standard_error

    assert is_right(m, right_ratio)
    assert is_right(wrong, right_ratio)
    assert is_right(m, wrong_ratio)
    assert not is_right(wrong, wrong_ratio)
    assert abs(plug_in(wrong(a + SHIFT), opened).psi - truth) > 0.5
    assert abs(weighted(y, wrong_ratio, opened).psi - truth) > 0.5


def test_coverage_with_known_nuisances():
    covered, errors = {"one_step": 0, "contrast": 0, "weighted": 0}, []
    for seed in range(400):
        x, a, y = confounded(200, seed)
        opened, before = gate(normal_log_ratio(x, a + SHIFT), 0.6), gate(normal_log_ratio(x, a), 0.6)
        found = estimates(y, 2 * a + 3 * x, 2 * (a + SHIFT) + 3 * x, normal_log_ratio(x, a), opened, before)
        for name in covered:
            covered[name] += found[name].low <= GATED_EFFECT <= found[name].high
        errors.append(found["contrast"].psi - GATED_EFFECT)
    assert abs(np.mean(errors)) < 4 * np.std(errors) / 20
    for name, count in covered.items():
        assert 0.91 <= count / 400 <= 0.985, name


# -- nuisances -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fits():
    x, a, _ = confounded(3000, seed=1)
    return {"density": fit_density(x[:, None], a), "classifier": fit_classifier(x[:, None], a, SHIFT)}


@pytest.mark.parametrize("name", ["density", "classifier"])
def test_fits_recover_the_analytic_ratio(fits, name):
    x, a, _ = confounded(3000, seed=2)
    truth = normal_log_ratio(x, a)
    found = fits[name].log_ratio(x[:, None], a, SHIFT)
    assert np.sqrt(np.mean((found - truth) ** 2)) < 0.2 * truth.std() + 0.05
    assert np.exp(found).mean() == pytest.approx(1, abs=0.06)


def test_any_shift_of_a_density_but_one_of_a_classifier(fits):
    x, a, _ = confounded(2000, seed=3)
    found = fits["density"].log_ratio(x[:, None], a, -1.0)
    assert np.corrcoef(found, normal_log_ratio(x, a, -1.0))[0, 1] > 0.95
    with pytest.raises(ContractError, match=r"trained for a shift of 0\.5, not 1"):
        fits["classifier"].log_ratio(x[:, None], a, 1)


@pytest.mark.parametrize("fit", [partial(fit_density, epochs=2), partial(fit_classifier, shift=SHIFT, epochs=2)])
def test_seed_decides_and_the_global_generator_stays(fit):
    x, a, _ = confounded(100, seed=4)
    x = x[:, None]
    state = torch.get_rng_state()
    first, again, other = (fit(x, a, seed=seed).log_ratio(x, a, SHIFT) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()
    assert (torch.get_rng_state() == state).all()


def test_a_constant_covariate_is_harmless():
    x, a, _ = confounded(100, seed=5)
    fit = fit_density(np.column_stack((x, np.full(100, 7))), a, epochs=2)
    assert np.isfinite(fit.log_ratio(np.column_stack((x, np.full(100, 7))), a, SHIFT)).all()


class KnownRatio:
    """A density ratio that needs no fit."""

    def log_ratio(self, x, a, shift):
        return normal_log_ratio(x[:, 0], a, shift)


def test_cross_fit_never_asks_for_rows_that_it_fitted():
    x, a, y = confounded(60, seed=6)
    asked = []

    def fit(x, a, y):
        seen = set(x[:, 0])

        def predict(x, a):
            assert not seen & set(x[:, 0])
            asked.extend(x[:, 0])
            return a

        return predict

    found = cross_fit(x[:, None], a, y, SHIFT, fit, lambda x, a: KnownRatio(), folds=4, threshold=0)
    assert sorted(asked) == sorted(np.repeat(x, 2))
    assert found["plug_in"].psi == pytest.approx(np.mean(a + SHIFT))
    assert found["one_step"].abstention == 0


def test_cross_fit_finds_the_effect_with_a_poor_outcome():
    x, a, y = confounded(2000, seed=7)

    def straight_line(x, a, y):
        slope, intercept = np.polyfit(a, y, 1)
        return lambda x, a: intercept + slope * a

    found = cross_fit(x[:, None], a, y, SHIFT, straight_line, partial(fit_density, epochs=30), folds=2, threshold=0)
    assert found["plug_in"].psi - y.mean() > 1.5
    assert found["contrast"].psi == pytest.approx(2 * SHIFT, abs=0.2)
    gated = cross_fit(x[:, None], a, y, SHIFT, straight_line, lambda x, a: KnownRatio(), folds=2)
    assert gated["contrast"].psi == pytest.approx(GATED_EFFECT, abs=0.2)
    assert gated["contrast"].abstention == pytest.approx(1 - SUPPORTED, abs=0.03)


# -- balance ---------------------------------------------------------------------------------------------


def gates(x, a):
    return gate(normal_log_ratio(x, a + SHIFT), 0.6), gate(normal_log_ratio(x, a), 0.6)


def imbalance(x, a, log_ratio, opened, before):
    """mean(wφ) - mean(φ(d)) of every function of the dictionary."""
    xa, moved = np.column_stack((x, a)), np.column_stack((x, a + SHIFT * opened))
    dictionary = fit_dictionary(xa)
    weight = policy_weights(log_ratio, opened, before)
    return weight @ dictionary.transform(xa) / len(a) - dictionary.transform(moved).mean(axis=0)


@pytest.mark.parametrize("slope", [0.5, 0.0])
def test_balanced_weights_keep_the_moments(slope):
    x, a, _ = confounded(2000, seed=9)
    opened, before = gates(x, a)
    wrong = slope * normal_log_ratio(x, a)
    found = balance(x[:, None], a, SHIFT, wrong, opened, before, ridge=1e-6)
    assert np.abs(imbalance(x, a, wrong, opened, before)).max() > 0.05
    assert np.abs(imbalance(x, a, found, opened, before)).max() < 1e-4
    assert policy_weights(found, opened, before).mean() == pytest.approx(1, abs=1e-5)


def test_a_large_ridge_balances_the_weights_sum_only():
    x, a, _ = confounded(500, seed=10)
    opened, before = gates(x, a)
    wrong = 0.5 * normal_log_ratio(x, a)
    found = balance(x[:, None], a, SHIFT, wrong, opened, before, ridge=1e6)
    assert np.ptp(found - wrong) < 1e-4
    assert policy_weights(found, opened, before).mean() == pytest.approx(1, abs=1e-5)


def test_the_true_ratio_stays_nearly_as_it_is():
    x, a, _ = confounded(50_000, seed=11)
    truth = normal_log_ratio(x, a)
    opened, before = gates(x, a)
    found = balance(x[:, None], a, SHIFT, truth, opened, before)
    assert np.std((found - truth)[before]) < 0.05
    # base weights are clipped, so that a ratio that overflows does no harm
    spoilt = balance(x[:, None], a, SHIFT, np.where(np.arange(len(a)) == 7, 1e4, truth), opened, before)
    assert np.isfinite(spoilt).all()


def test_balance_corrects_a_poor_ratio_under_a_wrong_outcome():
    x, a, y = confounded(5000, seed=12)
    opened, before = gates(x, a)
    poor, slope = 0.5 * normal_log_ratio(x, a), 3.5

    def found(ratio):
        moved = slope * (a + SHIFT * opened)
        return contrast(y, slope * a, moved, policy_weights(ratio, opened, before), opened).psi

    assert abs(found(poor) - GATED_EFFECT) > 0.1
    assert found(balance(x[:, None], a, SHIFT, poor, opened, before)) == pytest.approx(GATED_EFFECT, abs=0.05)


def test_cross_fit_balances_on_request():
    class Poor:
        def log_ratio(self, x, a, shift):
            return 0.5 * normal_log_ratio(x[:, 0], a, shift)

    x, a, y = confounded(2000, seed=13)
    arguments = x[:, None], a, y, SHIFT, lambda x, a, y: lambda x, a: 3.5 * a, lambda x, a: Poor()
    plain, found = (cross_fit(*arguments, folds=2, threshold=0, balanced=balanced) for balanced in (False, True))
    assert abs(plain["contrast"].psi - 2 * SHIFT) > 0.2
    assert found["contrast"].psi == pytest.approx(2 * SHIFT, abs=0.1)
    assert found["plug_in"] == plain["plug_in"]


def test_balance_says_why_it_cannot():
    x, a, _ = confounded(30, seed=14)
    opened, ratio = np.ones(30, dtype=bool), np.zeros(30)
    with pytest.raises(ContractError, match="30 treatments"):
        balance(x, a, SHIFT, ratio, opened, opened)
    with pytest.raises(ContractError, match="finite covariates"):
        balance(np.full((30, 1), np.nan), a, SHIFT, ratio, opened, opened)
    with pytest.raises(ContractError, match=r"one length .*'log_ratio': \(3,\)"):
        balance(x[:, None], a, SHIFT, ratio[:3], opened, opened)
    for gates_of_none in ((~opened, opened), (opened, ~opened)):
        with pytest.raises(ContractError, match="gate is closed everywhere"):
            balance(x[:, None], a, SHIFT, ratio, *gates_of_none)
    with pytest.raises(ContractError, match="ridge must be positive, not 0"):
        balance(x[:, None], a, SHIFT, ratio, opened, opened, ridge=0)
    # a mean of 5 of a function that is at most 2
    with pytest.raises(ContractError, match="a larger ridge"):
        tilt(np.ones(2), np.array([[1.0, 1], [1, 2]]), np.array([1.0, 5]), 2, 1e-12)


# -- errors ----------------------------------------------------------------------------------------------


def test_errors_name_what_is_wrong():
    x, a, y = confounded(30, seed=8)
    with pytest.raises(ContractError, match=r"one length .*'weight': \(3,\)"):
        one_step(Y, M, MOVED, W[:3], OPENED)
    with pytest.raises(ContractError, match=r"m_natural is not finite in 1 of 4 rows, first in row 2"):
        contrast(Y, np.where(M == 5, np.nan, M), MOVED, W, OPENED)
    with pytest.raises(ContractError, match="n ≥ 2"):
        plug_in([1.0], [True])
    with pytest.raises(ContractError, match="log_ratio is not finite"):
        policy_weights([np.nan, 0], [1, 1], [1, 1])
    with pytest.raises(ContractError, match="all weights are 0"):
        weighted(Y, np.zeros(4), OPENED)
    with pytest.raises(ContractError, match=r"not \(30,\) and \(30,\)"):
        fit_density(x, a)
    with pytest.raises(ContractError, match="n ≥ 20"):
        fit_classifier(x[:5, None], a[:5], SHIFT)
    with pytest.raises(ContractError, match="not finite in 1 rows, first in row 4"):
        fit_density(x[:, None], np.where(np.arange(30) == 4, np.inf, a))
    with pytest.raises(ContractError, match="30 treatments"):
        cross_fit(x, a, y, SHIFT, cross_fit_outcome, fit_density)
