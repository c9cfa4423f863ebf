"""Mean outcome under a modified treatment policy: one-step (doubly robust), plug-in and weighted estimates.

The policy is "shift where the data support it, else leave alone": d(a, x) = a+δ where the gate is open,
s(x, a, δ) ≥ τ, and a elsewhere. The estimand is ψ = E[m(d(A, X), X)] with m(a, x) = E[Y | A=a, X=x].

Weights. For any function h, split the integral by the gate and put a' = a+δ in the part that is shifted
(Díaz & van der Laan 2012, 10.1111/j.1541-0420.2011.01685.x; Haneuse & Rotnitzky 2013, 10.1002/sim.5907):

    E[h(d(A,X),X) | x] = ∫ 1[s(x,a,δ) ≥ τ] h(a+δ,x) g(a|x) da          + ∫ 1[s(x,a,δ) < τ] h(a,x) g(a|x) da
                       = ∫ 1[s(x,a'-δ,δ) ≥ τ] h(a',x) g(a'-δ|x) da'    + ∫ 1[s(x,a,δ) < τ] h(a,x) g(a|x) da
                       = E[w(A,X) h(A,X) | x],
    w(a,x) = 1[s(x,a-δ,δ) ≥ τ] · g(a-δ|x)/g(a|x) + 1[s(x,a,δ) < τ].

A treatment that is both left alone and reached from below has two pre-images under d, and so both terms. The gate at
a-δ being open says that g(a-δ|x)/g(a|x) ≤ 1/τ: if gate and ratio come from the same density, w ≤ 1 + 1/τ by
construction, and clipping matters only where they differ or where there is no gate (τ = 0).

Inference. The efficient influence function of ψ for a known policy is D = w(A,X)(Y - m(A,X)) + m(d(A,X),X) - ψ
(Díaz & van der Laan 2012; Díaz et al. 2021, 10.1080/01621459.2021.1955691; as in txshift, Hejazi & Benkeser,
10.21105/joss.02447). The one-step estimate solves mean(D) = 0; it is consistent if either w or m is. Where the gate
itself was estimated, ψ is the mean under the estimated gate and not under an ideal one.
"""

from dataclasses import asdict, dataclass

import numpy as np

from boomlib.files import ContractError

NORMAL_QUANTILE = 1.959963984540054
"""97.5 % quantile of the standard normal distribution."""


@dataclass(frozen=True)
class Estimate:
    """An estimate of a mean under the policy (or of its contrast) with a Wald interval, in the outcome's unit.

    Attributes:
        psi: the estimate.
        standard_error: sd(influence function)/√n.
        low: lower end of the 95 % interval.
        high: upper end.
        effective_sample_size: Kish's (Σw)²/Σw² of the weights; n where the estimate has none.
        abstention: share of rows that the policy leaves alone for want of support.
        n: rows.
    """

    psi: float
    standard_error: float
    low: float
    high: float
    effective_sample_size: float
    abstention: float
    n: int

    def as_dict(self) -> dict[str, float]:
        """The fields by name, ready for JSON."""
        return asdict(self)


def checked(**arrays: np.ndarray) -> list[np.ndarray]:
    """The arrays as float64; raises :class:`ContractError` unless all are [n] with the same n ≥ 2 and finite."""
    made = {name: np.asarray(values, dtype=np.float64) for name, values in arrays.items()}
    shapes = {name: values.shape for name, values in made.items()}
    first = next(iter(shapes.values()))
    if len(first) != 1 or first[0] < 2 or any(shape != first for shape in shapes.values()):
        raise ContractError(f"arrays of one length n ≥ 2 are needed, not {shapes}")
    for name, values in made.items():
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            raise ContractError(f"{name} is not finite in {len(bad)} of {len(values)} rows, first in row {bad[0]}")
    return list(made.values())


def gate(log_ratio_at_shifted: np.ndarray, threshold: float) -> np.ndarray:
    """Where the shift is supported, s = min(1, exp(-ℓ)) ≥ τ, bool [n]; a threshold of 0 opens the gate everywhere.

    From ℓ(x, a+δ) it is the gate of the step from a, from ℓ(x, a) that of the step that leads to a.
    """
    return np.exp(-np.maximum(log_ratio_at_shifted, 0)) >= threshold


def policy_weights(
    log_ratio: np.ndarray, supported: np.ndarray, supported_before: np.ndarray, clip: float = 20.0
) -> np.ndarray:
    """Weights w(a, x) of the gated policy (derived above), float64 [n] in [0, clip].

    Args:
        log_ratio: ℓ(x, a) = log g(a-δ | x)/g(a | x), [n].
        supported: the gate at a, s(x, a, δ) ≥ τ, bool [n].
        supported_before: the gate at a-δ, s(x, a-δ, δ) ≥ τ, bool [n].
        clip: the largest weight, ≥ 1.
    """
    log_ratio, supported, supported_before = checked(
        log_ratio=log_ratio, supported=supported, supported_before=supported_before
    )
    # clipped before exp, which overflows
    ratio = np.exp(np.minimum(log_ratio, np.log(clip)))
    return np.minimum(supported_before * ratio + (1 - supported), clip)


def effective_sample_size(weight: np.ndarray) -> float:
    """Kish's effective sample size (Σw)²/Σw²; 0 if all weights are."""
    square = np.sum(weight**2)
    return float(np.sum(weight) ** 2 / square) if square else 0.0


def wald(psi: float, influence: np.ndarray, weight: np.ndarray, supported: np.ndarray) -> Estimate:
    """The estimate with the 95 % interval that its influence function (float64 [n]) gives."""
    n = len(influence)
    error = float(np.std(influence, ddof=1) / np.sqrt(n))
    half = NORMAL_QUANTILE * error
    return Estimate(
        psi, error, psi - half, psi + half, effective_sample_size(weight), 1 - float(np.mean(supported)), n
    )


def one_step(
    y: np.ndarray, m_natural: np.ndarray, m_policy: np.ndarray, weight: np.ndarray, supported: np.ndarray
) -> Estimate:
    """One-step (AIPW) estimate of ψ, the mean of w(Y - m(A,X)) + m(d(A,X),X).

    Args:
        y: outcome, [n].
        m_natural: m(A, X), [n], from a fit that did not see the row.
        m_policy: m(d(A, X), X), [n].
        weight: :func:`policy_weights`, [n].
        supported: the gate at A, bool [n].
    """
    y, m_natural, m_policy, weight, supported = checked(
        y=y, m_natural=m_natural, m_policy=m_policy, weight=weight, supported=supported
    )
    pseudo_outcome = weight * (y - m_natural) + m_policy
    return wald(float(np.mean(pseudo_outcome)), pseudo_outcome, weight, supported)


def contrast(
    y: np.ndarray, m_natural: np.ndarray, m_policy: np.ndarray, weight: np.ndarray, supported: np.ndarray
) -> Estimate:
    """One-step estimate of what the policy changes, ψ - E[Y]; arguments as in :func:`one_step`.

    Its influence function is that of ψ less Y - E[Y], so it is usually far more precise than ψ itself.
    """
    y, m_natural, m_policy, weight, supported = checked(
        y=y, m_natural=m_natural, m_policy=m_policy, weight=weight, supported=supported
    )
    change = weight * (y - m_natural) + m_policy - y
    return wald(float(np.mean(change)), change, weight, supported)


def plug_in(m_policy: np.ndarray, supported: np.ndarray) -> Estimate:
    """Mean of m(d(A,X),X), for comparison: as wrong as m, and its interval ignores that m was estimated."""
    m_policy, supported = checked(m_policy=m_policy, supported=supported)
    return wald(float(np.mean(m_policy)), m_policy, np.ones_like(m_policy), supported)


def weighted(y: np.ndarray, weight: np.ndarray, supported: np.ndarray) -> Estimate:
    """Weighted mean ΣwY/Σw (Hájek), for comparison: as wrong as w, and its interval takes w as known.

    Normalised, because the mean of wY would depend on where the outcome has its zero.
    """
    y, weight, supported = checked(y=y, weight=weight, supported=supported)
    if not weight.any():
        raise ContractError("all weights are 0: the policy leads nowhere that has data; use a smaller shift")
    psi = float(np.sum(weight * y) / np.sum(weight))
    return wald(psi, weight * (y - psi) / np.mean(weight), weight, supported)


def estimates(
    y: np.ndarray,
    m_natural: np.ndarray,
    m_shifted: np.ndarray,
    log_ratio: np.ndarray,
    supported: np.ndarray,
    supported_before: np.ndarray,
    clip: float = 20.0,
) -> dict[str, Estimate]:
    """All estimates from the nuisances, by name: ``one_step``, ``contrast``, ``plug_in``, ``weighted``.

    Args:
        m_shifted: m(A+δ, X), [n]; used where ``supported``. The other arguments are those of :func:`one_step` and
            :func:`policy_weights`.
    """
    weight = policy_weights(log_ratio, supported, supported_before, clip)
    m_policy = np.where(supported, m_shifted, m_natural)
    return {
        "one_step": one_step(y, m_natural, m_policy, weight, supported),
        "contrast": contrast(y, m_natural, m_policy, weight, supported),
        "plug_in": plug_in(m_policy, supported),
        "weighted": weighted(y, weight, supported),
    }
