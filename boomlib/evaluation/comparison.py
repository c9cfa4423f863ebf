"""Which models a task tells apart: the RMSE of all of them on the same resamples of the molecules.

Errors of two models on one molecule go together, so that the interval of a difference is mostly far narrower than the
intervals of the two RMSE let expect. The resamples of a fold are the same for all models
(:func:`boomlib.evaluation.bootstrap.draw_weights`): each run keeps its RMSE on them, and a pair is a subtraction.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from boomlib.contracts import TableContract, read_table
from boomlib.evaluation.bootstrap import draw_weights
from boomlib.labels import is_nearly_constant
from boomlib.runs import Run

COMPARED = ("id", "ood")
"""The folds on which models are compared."""
FEWEST = 6
"""Molecules of a fold on which a difference may be beyond chance: on five, one of two models that are equally good is
better on every molecule in 2 · 2⁻⁵ = 6 % (sign test)."""
LEVEL = 0.95
TAILS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
"""Quantiles at the ends of an interval at :data:`LEVEL`."""
RESAMPLED = TableContract("resamples", dict.fromkeys(COMPARED, pa.float64()))


def resample_rmse(y_true: np.ndarray, y_pred: np.ndarray, *, resamples: int = 1000, seed: int = 0) -> np.ndarray:
    """The RMSE on each resample of n molecules (float64 [n], n ≥ 1), float64 [resamples]."""
    # a model that diverged overflows
    with np.errstate(over="ignore", invalid="ignore"):
        squared = (y_pred - y_true) ** 2
        sums = [np.einsum("i,ij->j", squared, each) for each in draw_weights(len(squared), resamples, seed)]
        return np.sqrt(np.concatenate(sums) / len(squared))


def resample_folds(y: np.ndarray, fold: np.ndarray, y_pred: np.ndarray, *, resamples: int = 1000) -> pa.Table:
    """The RMSE of one run on the resamples of each fold of :data:`COMPARED`, a row a resample.

    NaN where models cannot be told apart: on fewer than :data:`FEWEST` molecules, and where the labels of train are
    nearly constant, from which nothing can be learnt.

    Args:
        y: true values of all molecules, float64 [n].
        fold: str [n].
        y_pred: float64 [n], finite on id and ood.
        resamples: bootstrap resamples.
    """
    constant = is_nearly_constant(y[fold == "train"])
    columns = {}
    for name in COMPARED:
        rows = fold == name
        told = not constant and rows.sum() >= FEWEST
        columns[name] = (
            resample_rmse(y[rows], y_pred[rows], resamples=resamples) if told else np.full(resamples, np.nan)
        )
    return pa.table(columns)


def read_resamples(folder: Path, runs: Sequence[Run]) -> dict[str, np.ndarray]:
    """By fold the RMSE on each resample, mean over runs of one model that differ in their seed, float64 [resamples].

    ``folder`` is ``resamples/`` of the results.
    """
    tables = [read_table(folder / f"{run.stem}.parquet", RESAMPLED) for run in runs]
    return {fold: np.mean([table[fold].to_numpy() for table in tables], axis=0) for fold in COMPARED}


def compare_to_best(rmse: Mapping[str, float], resampled: Mapping[str, np.ndarray]) -> dict[str, tuple[float, float]]:
    """How far each model is behind the best one: the interval, at :data:`LEVEL`, of its RMSE less that of the best.

    Args:
        rmse: RMSE by model; NaN where undefined.
        resampled: its RMSE on the resamples by model, float64 [resamples]; all on the same ones.

    Returns:
        (low, high) by model; of the best (0, 0). NaN where models cannot be told apart. Empty if no RMSE is defined.
    """
    defined = {model: value for model, value in rmse.items() if np.isfinite(value)}
    if not defined:
        return {}
    best = resampled[min(defined, key=lambda model: defined[model])]
    behind = {}
    for model in defined:
        low, high = np.quantile(resampled[model] - best, TAILS)
        behind[model] = (float(low), float(high))
    return behind
