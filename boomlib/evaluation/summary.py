"""What many runs left, as two tables: their metrics over seeds, and what became of each."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

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
NUMBERS = ("mean", "std", "low", "high", "n_molecules", "n_seeds")
COLUMNS = (*TEXT_COLUMNS[:8], *NUMBERS, *TEXT_COLUMNS[8:])


def list_measurements(result: Mapping[str, Any]) -> Iterable[tuple[str, str, str, str, int, tuple[float, ...]]]:
    """Yield fold, metric, unit, direction, molecules, (value, low, high) of one run; NaN where undefined."""
    for fold, scores in result["folds"].items():
        for metric in METRICS.values():
            found = scores["metrics"][metric.name] if scores["n"] else dict.fromkeys(("value", "low", "high"))
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


def tabulate_metrics(records: pd.DataFrame, results: Mapping[Run, Mapping[str, Any]]) -> pd.DataFrame:
    """The leaderboard as data: one row a (task, scheme, model, fold, metric), in the order of ``records``.

    ``mean`` and ``std`` (ddof = 1; empty for one seed) are over the seeds that are done, ``low`` and ``high``
    the means of the seeds' 95 % intervals. What is undefined for one seed is undefined. ``status`` is "done",
    and ``reason`` says so if some seeds are lacking. Each run without metrics has one row of its own, without
    fold and metric, whose status is "failed" or "missing".

    Args:
        records: the table of runs, see :func:`boomlib.evaluation.records.tabulate_runs`.
        results: metrics of each run that is done.
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
            numbers = (mean, std, low, high, n, len(done))
            scored = (as_text(results[done[0]].get(name)) for name in SCORED)
            rows.append((*key, fold, metric, unit, direction, *numbers, "done", note, *scored))
        for lost in group[group["status"] != "done"].itertuples():
            reason = f"seed {lost.seed}: {lost.reason}"
            rows.append((*key, "", "", "", "", *[np.nan] * 4, 0, 0, lost.status, reason, "", ""))
    return pd.DataFrame(rows, columns=COLUMNS)


def summarise(
    results_dir: StrPath, runs: Sequence[Run], needs: Mapping[Run, Sequence[str]] = MappingProxyType({})
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The metrics (:func:`tabulate_metrics`) and the table of runs of what lies in the results folder, done or not.

    ``needs`` are the files that runs stand on, see :func:`boomlib.evaluation.records.find_outcome`.

    Raises:
        ContractError: runs are not comparable, see :func:`check_comparable`.
    """
    records = tabulate_runs(results_dir, runs, needs)
    check_comparable(records[records["status"] == "done"])
    done = [run for run, status in zip(runs, records["status"], strict=True) if status == "done"]
    results = {run: read_json(Path(results_dir, "metrics", f"{run.stem}.json")) for run in done}
    return tabulate_metrics(records, results), records


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


def write_summary(results_dir: StrPath, runs: Sequence[Run], metrics_csv: StrPath, runs_csv: StrPath) -> None:
    """Write both tables of :func:`summarise` as CSV: all that the report reads of the runs."""
    for table, path in zip(summarise(results_dir, runs), (metrics_csv, runs_csv), strict=True):
        write_text(path, table.to_csv(index=False, float_format="%.10g", lineterminator="\n"))


def read_metrics(path: StrPath) -> pd.DataFrame:
    """Read ``leaderboard.csv``, the metrics that :func:`write_summary` wrote."""
    return pd.read_csv(
        path,
        dtype=dict.fromkeys(TEXT_COLUMNS, str),
        keep_default_na=False,
        na_values={column: [""] for column in NUMBERS},
    )
