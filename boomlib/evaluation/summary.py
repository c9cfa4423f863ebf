"""What many runs left, as two tables: their metrics over seeds, and what became of each."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from boomlib.evaluation.comparison import COMPARED, compare_to_best, read_resamples
from boomlib.evaluation.metrics import METRICS
from boomlib.evaluation.records import SCORED, as_text, list_recorded, tabulate_runs
from boomlib.files import ContractError, StrPath, read_json, write_text
from boomlib.runs import Run

TEXT_COLUMNS = (
    "dataset",
    "property",
    "scheme",
    "model",
    "fold",
    "metric",
    "unit",
    "direction",
    "status",
    "reason",
    *SCORED,
)
NUMBERS = ("mean", "std", "low", "high", "behind_low", "behind_high", "n_molecules", "n_seeds")
COLUMNS = (*TEXT_COLUMNS[:8], *NUMBERS, *TEXT_COLUMNS[8:])


def list_measurements(result: Mapping[str, Any]) -> Iterable[tuple[str, str, str, str, int, tuple[float, ...]]]:
    """Yield fold, metric, unit, direction, molecules, (value, low, high) of one run; NaN where undefined.

    What a version of the benchmark has not measured is undefined in its results.
    """
    undefined = dict.fromkeys(("value", "low", "high"))
    for fold, scores in result["folds"].items():
        for metric in METRICS.values():
            found = scores["metrics"].get(metric.name, undefined) if scores["n"] else undefined
            unit = result["unit"] if metric.unit == "property" else ""
            values = tuple(as_float(found[key]) for key in ("value", "low", "high"))
            yield fold, metric.name, unit, metric.direction, scores["n"], values
        normalised = as_float(scores["normalised_rmse"])
        yield fold, "normalised_rmse", "", "min", scores["n"], (normalised, np.nan, np.nan)
    ratio = as_float(result["ood_id_ratio"])
    yield "ood", "ood_id_ratio", "", "min", result["folds"]["ood"]["n"], (ratio, np.nan, np.nan)


def as_float(value: float | None) -> float:
    """JSON's null as NaN."""
    return np.nan if value is None else float(value)


Behind = Mapping[tuple[str, ...], tuple[float, float]]
"""How far a model is behind the best one, low and high, by dataset, property, scheme, fold and model."""
UNKNOWN = (np.nan, np.nan)


def compare_runs(
    results_dir: StrPath, results: Mapping[Run, Mapping[str, Any]], controls: Collection[str]
) -> dict[tuple[str, ...], tuple[float, float]]:
    """How far each model is behind the best of its task (:func:`boomlib.evaluation.comparison.compare_to_best`).

    Of several seeds the RMSE on a resample is the mean over those that are done, as in the tables: the interval is
    over molecules, and not over trainings that might have been. Controls are not compared.

    Args:
        results_dir: the results folder.
        results: metrics of each run that is done.
        controls: names of the models that bound the leaderboard.

    Returns:
        See :data:`Behind`.
    """
    tasks: dict[tuple[str, ...], dict[str, list[Run]]] = {}
    for run in results:
        if run.model not in controls:
            models = tasks.setdefault((run.dataset, run.property, run.scheme), {})
            models.setdefault(run.model, []).append(run)
    behind = {}
    for task, models in tasks.items():
        resampled = {model: read_resamples(Path(results_dir, "resamples"), runs) for model, runs in models.items()}
        for fold in COMPARED:
            rmse = {
                model: float(np.mean([find_rmse(results[run], fold) for run in runs]))
                for model, runs in models.items()
            }
            by_model = {model: by_fold[fold] for model, by_fold in resampled.items()}
            for model, interval in compare_to_best(rmse, by_model).items():
                behind[*task, fold, model] = interval
    return behind


def find_rmse(result: Mapping[str, Any], fold: str) -> float:
    """The RMSE of one run on a fold; NaN where undefined."""
    scores = result["folds"][fold]
    return as_float(scores["metrics"]["rmse"]["value"]) if scores["n"] else np.nan


def tabulate_metrics(
    records: pd.DataFrame, results: Mapping[Run, Mapping[str, Any]], behind: Behind = MappingProxyType({})
) -> pd.DataFrame:
    """The leaderboard as data: one row a (task, scheme, model, fold, metric), in the order of ``records``.

    ``mean`` and ``std`` (ddof = 1; empty for one seed) are over the seeds that are done, ``low`` and ``high``
    the means of the seeds' 95 % intervals. ``behind_low`` and ``behind_high`` of a RMSE are the 95 % paired interval
    of it less that of the best model; empty where models are not compared or cannot be told apart. What is undefined
    for one seed is undefined. ``status`` is "done", and ``reason`` says so if some seeds are lacking. Each run without
    metrics has one row of its own, without fold and metric, whose status is "failed" or "missing".

    Args:
        records: the table of runs, see :func:`boomlib.evaluation.records.tabulate_runs`.
        results: metrics of each run that is done.
        behind: how far models are behind the best, see :func:`compare_runs`.
    """
    rows = []
    for key, group in records.groupby(list(COLUMNS[:4]), sort=False):
        done = [run for run in list_recorded(group) if run in results]
        note = "" if len(done) == len(group) else f"{len(done)} of {len(group)} seeds"
        for same in zip(*(list_measurements(results[run]) for run in done), strict=True):
            fold, metric, unit, direction, n, _ = same[0]
            values = np.array([measured[-1] for measured in same])
            mean, low, high = values.mean(axis=0)
            std = values[:, 0].std(ddof=1) if len(done) > 1 else np.nan
            run = done[0]
            place = (run.dataset, run.property, run.scheme, fold, run.model)
            distance = behind.get(place, UNKNOWN) if metric == "rmse" else UNKNOWN
            numbers = (mean, std, low, high, *distance, n, len(done))
            scored = (as_text(results[done[0]].get(name)) for name in SCORED)
            rows.append((*key, fold, metric, unit, direction, *numbers, "done", note, *scored))
        for lost in group[group["status"] != "done"].itertuples():
            reason = f"seed {lost.seed}: {lost.reason}"
            rows.append((*key, "", "", "", "", *[np.nan] * 6, 0, 0, lost.status, reason, "", ""))
    return pd.DataFrame(rows, columns=COLUMNS)


def summarise(
    results_dir: StrPath,
    runs: Sequence[Run],
    needs: Mapping[Run, Sequence[str]] = MappingProxyType({}),
    *,
    controls: Collection[str],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The metrics (:func:`tabulate_metrics`) and the table of runs of what lies in the results folder, done or not.

    ``needs`` are the files that runs stand on, see :func:`boomlib.evaluation.outcomes.find_outcome`; ``controls`` the
    models that bound the leaderboard.

    Raises:
        ContractError: runs are not comparable, see :func:`check_comparable`.
    """
    records = tabulate_runs(results_dir, runs, needs)
    check_comparable(records[records["status"] == "done"])
    done = [run for run, status in zip(runs, records["status"], strict=True) if status == "done"]
    results = {run: read_json(Path(results_dir, "metrics", f"{run.stem}.json")) for run in done}
    return tabulate_metrics(records, results, compare_runs(results_dir, results, controls)), records


def check_comparable(records: pd.DataFrame) -> None:
    """Raise :class:`ContractError` if runs were scored by several versions of the benchmark, or on several splits."""
    for column, within in (("version", ["status"]), ("split", ["dataset", "property", "scheme"])):
        for _, group in records.groupby(within):
            different = group.drop_duplicates(column)
            if len(different) > 1:
                found = zip(different[column], list_recorded(different), strict=True)
                shown = " and ".join(f"{value or 'none'} (metrics/{run.stem}.json)" for value, run in found)
                raise ContractError(
                    f"results/metrics: scores of one {column} alone may stand beside each other, found {shown}; "
                    "delete those that this checkout has not made, and run again"
                )


def write_summary(
    results_dir: StrPath,
    runs: Sequence[Run],
    metrics_csv: StrPath,
    runs_csv: StrPath,
    *,
    controls: Collection[str],
) -> None:
    """Write both tables of :func:`summarise` as CSV: all that the report reads of the runs."""
    write_tables(summarise(results_dir, runs, controls=controls), metrics_csv, runs_csv)


def write_tables(tables: tuple[pd.DataFrame, pd.DataFrame], metrics_csv: StrPath, runs_csv: StrPath) -> None:
    """Write the metrics and the table of runs as CSV."""
    for table, path in zip(tables, (metrics_csv, runs_csv), strict=True):
        write_text(path, table.to_csv(index=False, float_format="%.10g", lineterminator="\n"))


def read_metrics(path: StrPath) -> pd.DataFrame:
    """Read ``leaderboard.csv``, the metrics that :func:`write_summary` wrote."""
    return pd.read_csv(
        path,
        dtype=dict.fromkeys(TEXT_COLUMNS, str),
        keep_default_na=False,
        na_values={column: [""] for column in NUMBERS},
    )
