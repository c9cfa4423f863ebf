"""Prediction intervals by split conformal prediction: calibrated on valid, of one width or in proportion to a spread.

Where the molecules asked for and those of valid are exchangeable, an interval holds the label with the confidence
asked for, whatever the model (Vovk, Gammerman & Shafer, Algorithmic Learning in a Random World, 2005; split, and
divided by a spread: Papadopoulos et al., ECML 2002, 345). The quantile is that of crepes (Boström, Proc. Mach. Learn.
Res. 179, 24, 2022). Models have chosen penalties, epochs or weights by the same valid, which makes intervals narrower
than they should be: by how much, the coverage on ID says, which nothing has seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any

import numpy as np

from boomlib.files import ContractError
from boomlib.labels import SAME

CONFIDENCE = 0.9
PLAIN, NORMALISED = ("plain", "normalised")
LEAST = 0.1
"""Share of valid's median spread that a spread counts for at least: members that agree by chance promise nothing."""
EXACT = 1e-9
"""Added to 1 - confidence: (1 - 0.9) · 10 is less than 1 to a computer, and the rank of an error would be one off."""
USUAL = 0.95
"""Share of valid that is usual: beyond this quantile of it a molecule is flagged."""


@dataclass(frozen=True)
class Calibration:
    """How wide the intervals of one model on one task are.

    Attributes:
        confidence: share of labels that they hold on molecules like those of valid.
        molecules: of valid, by which they were calibrated.
        factor: half the width in the property's unit, or, of normalised ones, over the spread; infinite on too few
            molecules, 9 at least for 90 %.
        least_spread: what a spread counts for at least, in the property's unit; None of plain intervals.
    """

    confidence: float
    molecules: int
    factor: float
    least_spread: float | None = None

    @classmethod
    def fit(
        cls, y: np.ndarray, y_pred: np.ndarray, y_std: np.ndarray | None = None, confidence: float = CONFIDENCE
    ) -> "Calibration":
        """Calibrate on molecules of valid alone.

        Args:
            y: labels, float64 [n].
            y_pred: predictions, float64 [n].
            y_std: their spread, float64 [n], whose median is above 0 (:func:`has_spread`); None: plain intervals.
            confidence: the share of labels that is to be held.
        """
        from crepes import ConformalRegressor  # imports slowly, and whoever applies a calibration needs none of it

        least, sigmas, unit = None, None, None
        if y_std is not None:
            least = LEAST * float(np.median(y_std))
            sigmas, unit = np.maximum(y_std, least), np.ones(1)
        regressor = ConformalRegressor().fit(y - y_pred, sigmas)
        factor = float(regressor.predict_int(np.zeros(1), unit, confidence=confidence - EXACT)[0, 1])
        return cls(confidence, len(y), factor, least)

    def find_chance(self, inside: int, n: int) -> float:
        """Probability that the intervals of n molecules like those of valid hold no more than ``inside`` labels.

        With the k-th largest of m errors on valid as half the width, coverage is distributed as Beta(m + 1 - k, k)
        over draws of valid (Vovk, Proc. Mach. Learn. Res. 25, 475, 2012, proposition 2a), and so what is held of n as
        a beta-binomial.
        """
        from scipy.stats import betabinom  # as crepes above

        beyond = int((1 - self.confidence + EXACT) * (self.molecules + 1))  # as crepes counts them
        if not beyond:
            return 1.0
        return float(betabinom.cdf(inside, n, self.molecules + 1 - beyond, beyond))

    def half_widths(self, n: int, y_std: np.ndarray | None = None) -> np.ndarray:
        """Half the widths of the intervals of n molecules, float64 [n], in the property's unit.

        Args:
            n: how many.
            y_std: the spread of their predictions, float64 [n]; plain intervals do not read it.

        Raises:
            ContractError: normalised intervals want a spread, and there is none.
        """
        if self.least_spread is None:
            return np.full(n, self.factor)
        if y_std is None:
            raise ContractError(
                "intervals that were calibrated to a spread want one with each prediction (`y_std`); give it, or take "
                "the plain calibration"
            )
        half: np.ndarray = self.factor * np.maximum(y_std, self.least_spread)
        return half

    def interval(self, y_pred: np.ndarray, y_std: np.ndarray | None = None) -> np.ndarray:
        """The ends of the intervals of any molecules, low and high, float64 [n, 2], by :meth:`half_widths`."""
        half = self.half_widths(len(y_pred), y_std)
        return np.column_stack([y_pred - half, y_pred + half])

    def to_json(self) -> dict[str, Any]:
        """The calibration for a JSON file, which has no infinity: there ``factor`` is null."""
        return vars(self) | {"factor": self.factor if isfinite(self.factor) else None}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Calibration":
        """What :meth:`to_json` has made."""
        return cls(**{**content, "factor": inf if content["factor"] is None else content["factor"]})


def has_spread(y: np.ndarray, y_std: np.ndarray | None) -> bool:
    """Whether the spread of predictions, float64 [n], is more than rounding for labels ``y``, float64 [n], n ≥ 1."""
    return y_std is not None and bool(np.median(y_std) > SAME * np.abs(y).max())


def combine_seeds(y_pred: np.ndarray, y_std: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Mean and spread of what several seeds of one model say, float64 [n] each; of one seed its own.

    The variance is that over seeds, and the seeds' mean variance if they tell one (law of total variance).

    Args:
        y_pred: float64 [seeds, n].
        y_std: float64 [seeds, n], or None.
    """
    within = None if y_std is None else np.mean(y_std**2, axis=0)
    if len(y_pred) == 1:
        return y_pred[0], None if within is None else np.sqrt(within)
    between = np.var(y_pred, axis=0, ddof=1)
    return np.mean(y_pred, axis=0), np.sqrt(between if within is None else between + within)


def score_intervals(y: np.ndarray, ends: np.ndarray, confidence: float) -> float:
    """Mean interval score, the less the better: the width, and 2 / (1 - confidence) times what labels are outside.

    A proper scoring rule (Gneiting & Raftery, J. Am. Stat. Assoc. 102, 359, 2007, equation 43).

    Args:
        y: labels, float64 [n].
        ends: low and high, float64 [n, 2].
        confidence: the share of labels that was to be held.
    """
    outside = np.maximum(ends[:, 0] - y, 0) + np.maximum(y - ends[:, 1], 0)
    return float(np.mean(ends[:, 1] - ends[:, 0] + 2 / (1 - confidence) * outside))


def choose_interval(
    y: np.ndarray, y_pred: np.ndarray, y_std: np.ndarray | None, confidence: float = CONFIDENCE
) -> str:
    """Whether plain or normalised intervals are offered: the lesser score where halves of valid judge each other.

    Plain without a spread, on halves that are too small for an interval, and of equals. Arguments are those of
    :meth:`Calibration.fit`.
    """
    if y_std is None or len(y) < 2:
        return PLAIN
    y_std = np.maximum(y_std, LEAST * np.median(y_std))  # so that it has no median of 0 in a half either
    first = np.random.default_rng(0).permutation(len(y)) < len(y) // 2
    scores = {}
    for kind, spread in ((PLAIN, None), (NORMALISED, y_std)):
        parts = []
        for rows in (first, ~first):
            fitted = Calibration.fit(y[rows], y_pred[rows], None if spread is None else spread[rows], confidence)
            ends = fitted.interval(y_pred[~rows], None if spread is None else spread[~rows])
            parts.append(score_intervals(y[~rows], ends, confidence))
        scores[kind] = float(np.mean(parts))
    return NORMALISED if scores[NORMALISED] < scores[PLAIN] else PLAIN
