"""How any two models of a task differ: paired bootstrap intervals, from the resamples that the leaderboard has."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from boomlib.evaluation.comparison import COMPARED, TAILS, read_resamples
from boomlib.report.numbers import format_interval, format_number
from boomlib.runs import Run

Cell = tuple[float, float, str, str]
"""Low and high end, the difference of the RMSE as text, and the interval as text."""


def list_differences(
    results: Path, runs: Mapping[str, list[Run]], rmse: Mapping[str, Mapping[str, float]]
) -> dict[str, list[list[Cell | None]]]:
    """By fold a row and a column a model: the RMSE of the row's less that of the column's.

    Of several seeds the mean RMSE on each resample counts, as in
    :func:`boomlib.evaluation.summary.compare_runs`. None on the diagonal and where models cannot be told apart.

    Args:
        results: the results folder.
        runs: the finished runs of a task by model.
        rmse: by fold the RMSE of the leaderboard by model, mean over seeds.
    """
    found: dict[str, list[list[Cell | None]]] = {}
    resampled = {model: read_resamples(results / "resamples", own) for model, own in runs.items()}
    for fold in COMPARED:
        means = {model: by_fold[fold] for model, by_fold in resampled.items()}
        found[fold] = [
            [
                None if row == column else compare(means[row] - means[column], rmse[fold][row] - rmse[fold][column])
                for column in means
            ]
            for row in means
        ]
    return found


def compare(resampled: np.ndarray, difference: float) -> Cell | None:
    """The interval of a difference from its resamples [resamples]; None where that is undefined."""
    if not np.isfinite(resampled).all() or not np.isfinite(difference):
        return None
    low, high = (float(end) for end in np.quantile(resampled, TAILS))
    return low, high, format_number(difference), format_interval(low, high)
