"""Nuisances from fits that did not see the row, and the estimates that follow.

Cross-fitting is what lets flexible learners in: the one-step estimate is then valid if the product of the errors of
outcome and ratio vanishes faster than 1/√n, whatever the learners are (Díaz et al. 2021,
10.1080/01621459.2021.1955691).
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from sklearn.model_selection import KFold

from boomlib.causal.balance import balance
from boomlib.causal.policy import Estimate, checked, estimates, gate
from boomlib.files import ContractError

Outcome = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""A fitted m(x [n, p], a [n]) -> [n]."""


class Ratio(Protocol):
    """A fitted density ratio: what :mod:`boomlib.causal.nuisance` fits, or one's own."""

    def log_ratio(self, x: np.ndarray, a: np.ndarray, shift: float) -> np.ndarray:
        """ℓ(x, a) = log g(a-δ | x)/g(a | x), [n], for x [n, p], a [n] and δ in the unit of a."""


def cross_fit_outcome(
    x: np.ndarray,
    a: np.ndarray,
    y: np.ndarray,
    shift: float,
    fit_outcome: Callable[[np.ndarray, np.ndarray, np.ndarray], Outcome],
    folds: KFold,
) -> tuple[np.ndarray, np.ndarray]:
    """Out-of-fold m(A, X) and m(A+δ, X), float64 [n] each."""
    natural, shifted = np.empty(len(a)), np.empty(len(a))
    for rows, held in folds.split(a):
        m = fit_outcome(x[rows], a[rows], y[rows])
        natural[held], shifted[held] = m(x[held], a[held]), m(x[held], a[held] + shift)
    return natural, shifted


def cross_fit_ratio(
    x: np.ndarray,
    a: np.ndarray,
    shift: float,
    fit_ratio: Callable[[np.ndarray, np.ndarray], Ratio],
    folds: KFold,
) -> tuple[np.ndarray, np.ndarray]:
    """Out-of-fold ℓ(X, A) and ℓ(X, A+δ), float64 [n] each."""
    natural, shifted = np.empty(len(a)), np.empty(len(a))
    for rows, held in folds.split(a):
        ratio = fit_ratio(x[rows], a[rows])
        natural[held] = ratio.log_ratio(x[held], a[held], shift)
        shifted[held] = ratio.log_ratio(x[held], a[held] + shift, shift)
    return natural, shifted


def cross_fit(
    x: np.ndarray,
    a: np.ndarray,
    y: np.ndarray,
    shift: float,
    fit_outcome: Callable[[np.ndarray, np.ndarray, np.ndarray], Outcome],
    fit_ratio: Callable[[np.ndarray, np.ndarray], Ratio],
    *,
    folds: int = 5,
    seed: int = 0,
    threshold: float = 0.6,
    clip: float = 20.0,
    balanced: bool = False,
) -> dict[str, Estimate]:
    """Cross-fitted estimates of the mean outcome under "shift by δ where supported".

    Args:
        x: covariates, [n, p].
        a: treatment, [n].
        y: outcome, [n].
        shift: δ, in the unit of ``a``.
        fit_outcome: (x, a, y) -> m; any regressor on [x, a] will do.
        fit_ratio: (x, a) -> :class:`Ratio`, as ``fit_density`` or ``partial(fit_classifier, shift=δ)``.
        folds: folds K.
        seed: seed of the folds.
        threshold: smallest support score τ at which the policy shifts; 0 shifts everything.
        clip: largest weight.
        balanced: balance the ratio, and with it the weights, in the sample; see :mod:`boomlib.causal.balance`.

    Returns:
        :func:`boomlib.causal.policy.estimates` for the policy whose gate is the fitted ratio's.

    Raises:
        ContractError: shapes that do not match, values that are not finite or, if ``balanced``, what
            :func:`boomlib.causal.balance.balance` raises.
    """
    a, y = checked(a=a, y=y)
    if np.ndim(x) != 2 or len(x) != len(a):
        raise ContractError(f"covariates [{len(a)}, p] are needed for {len(a)} treatments, not {np.shape(x)}")
    cut = KFold(folds, shuffle=True, random_state=seed)
    m_natural, m_shifted = cross_fit_outcome(x, a, y, shift, fit_outcome, cut)
    log_ratio, log_ratio_shifted = cross_fit_ratio(x, a, shift, fit_ratio, cut)
    supported, supported_before = gate(log_ratio_shifted, threshold), gate(log_ratio, threshold)
    if balanced:
        log_ratio = balance(x, a, shift, log_ratio, supported, supported_before, clip=clip)
    return estimates(y, m_natural, m_shifted, log_ratio, supported, supported_before, clip)
