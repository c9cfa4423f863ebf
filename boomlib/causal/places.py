"""Policies with a place: each unit draws one of its places, and the treatment there is a little larger.

A unit has covariates X, a treatment A and a make-up G, and places s = 1 … k that differ from unit to unit. Drawing a
place with probability q(s) and inserting there leads to the point t(s) = (X + Δx(s), A + δ, G + Δ(s)). With g the
density of the natural points and g' that of the points t(s), the log ratio ℓ(t) = log g'(t)/g(t) is what a
classifier of both learns, and the support of a place is min(1, exp(-ℓ(t(s)))), as in :mod:`boomlib.causal.policy`: it
depends on the point where the place leads alone. The gated policy stays where it is if the drawn place has no support.

For any function h, split the mean by the gate and change variables in the part that moves:

    E[Σ q(s) (1[open at t(s)] h(t(s)) + 1[closed] h(Z))] = E[w(Z) h(Z)],  Z = (X, A, G),
    w(Z) = 1[exp(-ℓ(Z)) ≥ τ] · exp(ℓ(Z)) + Σ_s q(s) 1[closed at t(s)],

since g'(t) 1[open at t] = g(t) exp(ℓ(t)) 1[open at t]. With one place for everybody it is the weight of
:mod:`boomlib.causal.policy`. If places are drawn as they occur, that is, if the make-up of t given X and A + δ is
distributed as the natural one's, then E[Σ q(s) m(t(s))] = E[E[m(X, A + δ, G) | X, A + δ]] = E[m(A + δ, X)]: the policy
with a place has the ψ(δ) of the policy without.
"""

import numpy as np

from boomlib.causal.policy import Estimate, checked, contrast, gate, one_step, plug_in, policy_weights
from boomlib.files import ContractError


def place_estimates(
    y: np.ndarray,
    m_natural: np.ndarray,
    m_placed: np.ndarray,
    row: np.ndarray,
    chance: np.ndarray,
    log_ratio: np.ndarray,
    log_ratio_placed: np.ndarray,
    threshold: float,
    clip: float = 20.0,
) -> dict[str, Estimate]:
    """Estimates of the mean under the gated policy with a place: ``one_step``, ``contrast``, ``plug_in``.

    Args:
        y: outcome, [n].
        m_natural: m at the units themselves, [n], from a fit that did not see them.
        m_placed: m at each place's point, [k], those of all units behind each other.
        row: the unit that each place belongs to, int [k].
        chance: the probability with which its unit draws it, [k]; a unit that draws none with the rest stays.
        log_ratio: ℓ at the units, [n].
        log_ratio_placed: ℓ at each place's point, [k].
        threshold: smallest support at which the policy moves; 0 moves always.
        clip: largest weight.

    Raises:
        ContractError: shapes that do not match, values that are not finite, or chances of a unit beyond 1.
    """
    y, m_natural, log_ratio = checked(y=y, m_natural=m_natural, log_ratio=log_ratio)
    n = len(y)
    shapes = {np.shape(each) for each in (m_placed, row, chance, log_ratio_placed)}
    finite = np.isfinite(m_placed).all() and np.isfinite(log_ratio_placed).all()
    if len(shapes) != 1 or len(shapes.pop()) != 1 or not finite:
        raise ContractError("finite outcomes, units, chances and log ratios of the same places are needed")
    if np.bincount(row, chance, n).max(initial=0) > 1 + 1e-9:
        raise ContractError("the chances of the places of a unit add up to more than 1")
    moving = chance * gate(log_ratio_placed, threshold)
    share = np.minimum(np.bincount(row, moving, n), 1)
    m_policy = m_natural + np.bincount(row, moving * (m_placed - m_natural[row]), n)
    weight = policy_weights(log_ratio, share, gate(log_ratio, threshold), clip)
    return {
        "one_step": one_step(y, m_natural, m_policy, weight, share),
        "contrast": contrast(y, m_natural, m_policy, weight, share),
        "plug_in": plug_in(m_policy, share),
    }
