"""The linear path of m(a, x) whose effect of the treatment comes from molecules of the same context alone.

One regression on x, a and a·x gives a the blame for whatever of x a line cannot say: the effect is then confounded by
the path's own form. Between molecules whose context is the same, x can do nothing, whatever its form (fixed effects
of contexts, the nonparametric end of Robinson, Econometrica 56, 931, 1988). The effect is fitted to these differences,
each context by the variance of its molecules and not by their number, and only then the level to x.

Molecules of train that differ by one CH₂ and share their context are among those that are compared. And where a split
has chosen its folds by the outcome, differences within train are a little too small.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from boomlib.files import ContractError
from boomlib.harness.ridge import Rows, fit_ridge, fit_weighted_ridge

SAME_MASS = 1e-9  # standardised


@dataclass(frozen=True)
class Side:
    """Molecules of one fold.

    Attributes:
        covariates: as they are, [n, all columns]: the same in each means the same context.
        x: standardised ones, [n, columns].
        a: standardised treatment, [n].
        z: outcome, [n].
    """

    covariates: np.ndarray
    x: np.ndarray
    a: np.ndarray
    z: np.ndarray


class WithinLine:
    """z = level(x) + a · (slope(x) + curvature · a), level and slope linear in x.

    Attributes:
        leave_one_out: residual of each molecule of train under the level's fit to all others, the effect taken as
            known, [n].
    """

    def fit(self, train: Side, valid: Side, penalties: Sequence[float]) -> "WithinLine":
        """Learn the effect from differences within contexts, then the level.

        Args:
            train: its molecules, with covariates that are centred on them.
            valid: those on which either penalty is chosen.
            penalties: penalties to choose from.

        Raises:
            ContractError: too few molecules share a context and differ in mass, so that there is nothing to compare.
        """
        everything = np.concatenate([train.covariates, valid.covariates])
        context = np.unique(everything, axis=0, return_inverse=True)[1].ravel()
        own, other = np.split(context, [len(train.z)])
        size = np.bincount(own, minlength=context.max() + 1)
        columns, columns_valid = effect_columns(train.x, train.a), effect_columns(valid.x, valid.a)
        values, values_valid = np.column_stack([train.z, columns]), np.column_stack([valid.z, columns_valid])
        mean = np.column_stack([np.bincount(own, each, minlength=len(size)) for each in values.T])
        mean /= np.maximum(size, 1)[:, None]
        apart, apart_valid = values - mean[own], values_valid - mean[other]
        # contexts whose molecules are all isomers say nothing of the mass
        least, most = np.full((2, len(size)), [[np.inf], [-np.inf]])
        np.minimum.at(least, own, train.a)
        np.maximum.at(most, own, train.a)
        compared = np.flatnonzero((most - least)[own] > SAME_MASS)
        varied = np.maximum(most[other], valid.a) - np.minimum(least[other], valid.a) > SAME_MASS
        known = np.flatnonzero((size[other] > 0) & varied)
        free = len(compared) - len(np.unique(own[compared]))
        if free < columns.shape[1] or not len(known):
            raise ContractError(
                f"`line: within` compares molecules of one context that differ in mass: train has {len(compared)}, "
                f"worth {free} differences for {columns.shape[1]} coefficients, and valid {len(known)} of contexts "
                "that train has; a larger dataset may have enough, else take `line: true`"
            )
        apart, apart_valid = apart[compared], apart_valid[known]
        fitted = fit_weighted_ridge(
            apart[:, 1:],
            apart[:, 0],
            1 / size[own[compared]],
            apart_valid[:, 1:],
            apart_valid[:, 0],
            1 / size[other[known]],
            penalties,
        )
        self.effect = fitted.weights
        level = fit_ridge(
            Rows([train.x]),
            train.z - columns @ self.effect,
            Rows([valid.x]),
            valid.z - columns_valid @ self.effect,
            penalties,
        )
        self.level, self.intercept, self.leave_one_out = level.weights, level.intercept, level.leave_one_out
        return self

    def coefficients(self, x: np.ndarray) -> np.ndarray:
        """Level, slope in the treatment and curvature of molecules with covariates x [n, columns], [n, 3]."""
        level = self.intercept + x @ self.level
        slope, curvature, by_context = self.effect[0], self.effect[1], self.effect[2:]
        return np.column_stack([level, slope + x @ by_context, np.full(len(x), curvature)])


def effect_columns(x: np.ndarray, a: np.ndarray) -> np.ndarray:
    """What the effect of a treatment a [n] is linear in: a, a², a·x, [n, 2 + columns of x]."""
    return np.column_stack([a, a**2, a[:, None] * x])
