"""Ridge regression for many penalties at once, the best on valid kept."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from scipy.linalg import eigh


@dataclass(frozen=True)
class RidgeFit:
    """A solved ridge regression: predictions are ``x @ weights + intercept``.

    Attributes:
        weights: float64 [columns].
        intercept: of all rows, not penalised.
        leave_one_out: residual of each row of train under the fit to all others, float64 [n].
        penalty: the chosen one.
        history: every penalty with its RMSE on valid.
    """

    weights: np.ndarray
    intercept: float
    leave_one_out: np.ndarray
    penalty: float
    history: list[tuple[float, float]]


@dataclass(frozen=True)
class Halves:
    """Rows of a design whose last columns are mostly zero before they are centred; centred they are never stored.

    Attributes:
        dense: the first columns, centred, float64 [n, k].
        sparse: the others as they are, float64 [n, v].
        mean: what centres these, [v].
    """

    dense: np.ndarray
    sparse: sp.csr_array
    mean: np.ndarray

    def __matmul__(self, weights: np.ndarray) -> np.ndarray:
        first, last = np.split(weights, [self.dense.shape[1]])
        product = self.sparse @ last
        product -= self.mean @ last
        product += self.dense @ first
        return product


class Rows:
    """A design as blocks of rows, so that memory need hold one of them.

    Args:
        blocks: float64 [rows, columns] each; read more than once.
    """

    def __init__(self, blocks: Iterable[np.ndarray | Halves]) -> None:
        self.blocks = blocks

    def products(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The transposed matrix times itself, [columns, columns], and times y, [columns]."""
        gram, moment, start = 0.0, 0.0, 0
        for block in self.blocks:
            part = y[start : start + len(block)]
            gram, moment, start = gram + block.T @ block, moment + block.T @ part, start + len(part)
        return gram, moment


class HalfSparseRows(Rows):
    """The same of :class:`Halves` that are centred on all rows: zeros cost nothing, centring is done once."""

    def products(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The transposed matrix times itself, [columns, columns], and times y, [columns]."""
        gram, moment, start = None, 0.0, 0
        for block in self.blocks:
            (n, k), v = block.dense.shape, len(block.mean)
            if gram is None:
                gram = np.zeros((k + v, k + v))
                gram[k:, k:] = np.outer(block.mean, -len(y) * block.mean)
            part = y[start : start + n]
            gram[:k, :k] += block.dense.T @ block.dense
            gram[k:, :k] += block.sparse.T @ block.dense - np.outer(block.mean, block.dense.sum(axis=0))
            own = (block.sparse.T @ block.sparse).tocoo()
            gram[k + own.row, k + own.col] += own.data
            last = block.sparse.T @ part - block.mean * part.sum()
            moment, start = moment + np.concatenate([block.dense.T @ part, last]), start + n
        gram[:k, k:] = gram[k:, :k].T
        return gram, moment


def fit_ridge(x: Rows, y: np.ndarray, x_valid: Rows, y_valid: np.ndarray, penalties: Sequence[float]) -> RidgeFit:
    """Solve for all penalties with one eigendecomposition of the Gram matrix; keep the best on valid.

    Args:
        x: columns centred on train, [n, columns].
        y: labels, [n].
        x_valid: the same columns of valid.
        y_valid: its labels.
        penalties: penalties to choose from.
    """
    return solve(x, y, x_valid, y_valid, penalties, float(y.mean()), 1 / len(y))


def fit_weighted_ridge(
    x: np.ndarray,
    y: np.ndarray,
    weights: np.ndarray,
    x_valid: np.ndarray,
    y_valid: np.ndarray,
    weights_valid: np.ndarray,
    penalties: Sequence[float],
) -> RidgeFit:
    """The same where molecules count differently: the least Σ w (y - ŷ)² and penalty, the best on valid likewise.

    Args:
        x: columns, [n, columns].
        y: labels, [n].
        weights: of the rows, [n], positive.
        x_valid: the same columns of valid.
        y_valid: its labels.
        weights_valid: weights of its rows, on the scale of ``weights``.
        penalties: penalties to choose from, for weights whose mean is 1.
    """
    size = weights.mean()
    share, root, root_valid = weights / weights.sum(), np.sqrt(weights / size), np.sqrt(weights_valid / size)
    centre, mean = share @ x, share @ y
    own, valid = Rows([root[:, None] * (x - centre)]), Rows([root_valid[:, None] * (x_valid - centre)])
    fitted = solve(own, root * (y - mean), valid, root_valid * (y_valid - mean), penalties, 0.0, share)
    intercept = float(mean - centre @ fitted.weights)
    return replace(fitted, intercept=intercept, leave_one_out=fitted.leave_one_out / root)


def solve(
    x: Rows,
    y: np.ndarray,
    x_valid: Rows,
    y_valid: np.ndarray,
    penalties: Sequence[float],
    intercept: float,
    pull: float | np.ndarray,
) -> RidgeFit:
    """Solve with a given intercept, of whose leverage ``pull`` is each row's part, [n] or one number."""
    gram, moment = x.products(y - intercept)
    values, vectors = eigh(gram, overwrite_a=True)
    projected = vectors.T @ moment
    solved = [vectors @ (projected / (np.maximum(values, 0) + penalty)) for penalty in penalties]
    said = np.hstack([[block @ weights for weights in solved] for block in x_valid.blocks])
    errors = [float(np.sqrt(np.mean((each + intercept - y_valid) ** 2))) for each in said]
    best = errors.index(min(errors))
    weights, shrunk = solved[best], 1 / (np.maximum(values, 0) + penalties[best])
    # exact leave-one-out residuals of a linear smoother: residual / (1 - leverage)
    fitted, leverage = np.hstack([(block @ weights, (block @ vectors) ** 2 @ shrunk) for block in x.blocks])
    leave_one_out = (y - fitted - intercept) / (1 - (pull + leverage))
    return RidgeFit(weights, intercept, leave_one_out, penalties[best], list(zip(penalties, errors, strict=True)))
