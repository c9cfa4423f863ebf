"""Balance a learned density ratio: tilt it until the weights keep what the true ones keep.

The weights of the gated policy d satisfy E[w(A,X) h(A,X)] = E[h(d(A,X), X)] for every h, as
:mod:`boomlib.causal.policy` derives. Rows that are left alone count the same on both sides; what remains is a
condition on the ratio r(a,x) = g(a-δ|x)/g(a|x),

    E[1(s(X,A-δ) ≥ τ) · r(A,X) · h(A,X)] = E[1(s(X,A) ≥ τ) · h(A+δ,X)].

A learned ratio misses it, and the one-step estimate inherits the miss where the outcome is wrong. So r is tilted to
r·exp(θᵀφ(a,x)), with θ such that the condition holds in the sample for a dictionary φ of functions h, but for a small
ridge: entropy balancing with r as the base weights (Hainmueller 2012, 10.1093/pan/mpr025), in the spirit of Riesz
regression (Chernozhukov, Newey & Singh 2022, 10.3982/ECTA18515).

No outcome is used, so the weights may be balanced in the very sample that the estimate averages over: the noise of its
outcomes still averages out. And they should be, since it is that sample's imbalance that meets the error of m; a θ
learned on other rows meets the condition only as far as it generalises.

What it does not do: with weights that balance φ the one-step estimate is much like a regression on φ (Bruns-Smith et
al. 2025, 10.1093/jrsssb/qkaf019). An error of m in the span of φ is corrected whatever r is; one outside the span,
only as far as r itself is right. And where m is wrong the Wald intervals become too wide, for they do not know how
much of the error of m is balanced away.
"""

import numpy as np
from scipy.optimize import minimize
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline, make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, SplineTransformer, StandardScaler

from boomlib.causal.policy import checked
from boomlib.files import ContractError

KNOTS = 6
"""Knots of the treatment's spline, at its quantiles."""
TOLERANCE = 1e-6
"""Largest imbalance beyond the ridge's, in standard deviations of a dictionary's function."""


def covariates_and_products(xa: np.ndarray) -> np.ndarray:
    """x, x² and x·a, [n, 3p], from the columns of [x, a], [n, p + 1]."""
    x, a = xa[:, :-1], xa[:, -1:]
    return np.hstack((x, x**2, x * a))


def fit_dictionary(xa: np.ndarray) -> Pipeline:
    """The dictionary φ: a cubic spline of the treatment, x, x² and x·a, each of mean 0 and standard deviation 1.

    Args:
        xa: covariates and, last, the treatment, [n, p + 1].

    Returns:
        A transformer of [m, p + 1] to [m, KNOTS + 1 + 3p]; straight beyond the outermost knots.
    """
    spline = SplineTransformer(KNOTS, knots="quantile", extrapolation="linear", include_bias=False)
    parts = make_union(ColumnTransformer([("a", spline, [-1])]), FunctionTransformer(covariates_and_products))
    return make_pipeline(StandardScaler(), parts, StandardScaler()).fit(xa)


def tilt(base: np.ndarray, phi: np.ndarray, target: np.ndarray, n: int, ridge: float) -> np.ndarray:
    """θ, [k], with Σ base·exp(θᵀφ)·φ/n = target, but for ridge·θ in all places except the first, the constant's.

    Args:
        base: base weights, positive, [m].
        phi: dictionary with a leading column of ones, [m, k].
        target: means to be met, [k].
        n: rows of the sample, of which m have a base weight.
        ridge: penalty, positive: with it the minimum exists even where no weights meet the means.

    Raises:
        ContractError: the minimum was not found.
    """
    penalty = np.full(len(target), ridge)
    penalty[0] = 0

    def weights(theta: np.ndarray) -> np.ndarray:
        return base * np.exp(phi @ theta) / n

    def objective(theta: np.ndarray) -> float:
        return weights(theta).sum() - theta @ target + 0.5 * penalty @ theta**2

    def gradient(theta: np.ndarray) -> np.ndarray:
        return phi.T @ weights(theta) - target + penalty * theta

    def hessian(theta: np.ndarray) -> np.ndarray:
        return (phi.T * weights(theta)) @ phi + np.diag(penalty)

    # a step that is too long overflows to an infinite objective, and the trust region shrinks
    with np.errstate(over="ignore", invalid="ignore"):
        found = minimize(
            objective,
            np.zeros(len(target)),
            jac=gradient,
            hess=hessian,
            method="trust-exact",
            options={"gtol": TOLERANCE, "maxiter": 200},
        )
    if not found.success:
        raise ContractError(f"the weights were not balanced ({found.message}); a larger ridge than {ridge} may help")
    return found.x


def balance(
    x: np.ndarray,
    a: np.ndarray,
    shift: float,
    log_ratio: np.ndarray,
    supported: np.ndarray,
    supported_before: np.ndarray,
    *,
    ridge: float = 1e-3,
    clip: float = 20.0,
) -> np.ndarray:
    """The log ratio, tilted until the sample's weights balance the dictionary; float64 [n].

    The weights' mean is then 1. The gate stays as it is: it belongs to the policy, not to the ratio.

    Args:
        x: covariates, [n, p].
        a: treatment, [n].
        shift: δ, in the unit of ``a``.
        log_ratio: ℓ(x, a) = log g(a-δ | x)/g(a | x), [n], from fits that did not see the row.
        supported: the gate at a, bool [n].
        supported_before: the gate at a-δ, bool [n].
        ridge: penalty on θ, positive.
        clip: largest ratio before the tilt.

    Raises:
        ContractError: shapes that do not match, values that are not finite, a gate that is closed everywhere, a ridge
            that is not positive, or no convergence.
    """
    a, log_ratio, supported, supported_before = checked(
        a=a, log_ratio=log_ratio, supported=supported, supported_before=supported_before
    )
    if np.ndim(x) != 2 or len(x) != len(a) or not np.isfinite(x).all():
        raise ContractError(f"finite covariates [{len(a)}, p] are needed for {len(a)} treatments, not {np.shape(x)}")
    if ridge <= 0:
        raise ContractError(f"the ridge must be positive, not {ridge}")
    opened, reached = supported > 0, supported_before > 0
    if not opened.any() or not reached.any():
        raise ContractError(
            "the gate is closed everywhere: no row is shifted, or none is reached, and nothing balances"
        )
    xa = np.column_stack((x, a))
    dictionary, moved = fit_dictionary(xa), np.column_stack((x, a + shift))
    phi = np.column_stack((np.ones(len(a)), dictionary.transform(xa)))
    phi_moved = np.column_stack((np.ones(opened.sum()), dictionary.transform(moved[opened])))
    # clipped before exp, which overflows
    base = np.minimum(log_ratio, np.log(clip))
    target = phi_moved.sum(axis=0) / len(a)
    return base + phi @ tilt(np.exp(base[reached]), phi[reached], target, len(a), ridge)
