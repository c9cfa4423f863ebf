"""The metrics of many runs as one tidy table, and the overall ranking of the models."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from boomlib.evaluation.metrics import METRICS
from boomlib.files import read_json, write_text
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
)
COLUMNS = (*TEXT_COLUMNS[:8], "mean", "std", "low", "high", "n_molecules", "n_seeds", "status", "reason")
TASK = ["dataset", "property"]


@dataclass(frozen=True)
class Failure:
    """A run without metrics; ``status`` is "failed", or "missing" where it left no record (nor a ``log``).

    ``reason`` is one line.
    """

    run: Run
    status: str
    reason: str
    log: str


def read_results(results_dir: str | os.PathLike, runs: Iterable[Run]) -> tuple[dict[Run, dict], list[Failure]]:
    """Read the metrics of ``runs``; returns those found, by run, and the reason of every other one.

    A failure record, which a later success removes, and deleted predictions outweigh metrics of an earlier run.
    """
    results, failures = {}, []
    for run in runs:
        metrics = Path(results_dir, "metrics", f"{run.stem}.json")
        predictions = Path(results_dir, "predictions", f"{run.stem}.parquet")
        record = Path(results_dir, "predictions", run.stem, "failure.json")
        if record.is_file():
            failure = read_json(record)
            reason = " ".join(f"{failure['error']}: {failure['message']}".split())
            failures.append(Failure(run, "failed", reason, failure["log"]))
        elif metrics.is_file() and predictions.is_file():
            results[run] = read_json(metrics)
        else:
            failures.append(Failure(run, "missing", "no result; see its log", ""))
    return results, failures


def measurements(result: dict) -> Iterable[tuple[str, str, str, str, int, tuple[float, float, float]]]:
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


def tidy_table(runs: Sequence[Run], results: dict[Run, dict], failures: Sequence[Failure]) -> pd.DataFrame:
    """The leaderboard as data: one row a (task, scheme, model, fold, metric), in the order of ``runs``.

    ``mean`` and ``std`` (ddof = 1; empty for one seed) are over the seeds that are done, ``low`` and ``high``
    the means of the seeds' 95 % intervals. What is undefined for one seed is undefined. ``status`` is "done",
    and ``reason`` says so if some seeds are lacking. Each run without metrics has one row of its own, without
    fold and metric, whose status is "failed" or "missing".
    """
    failed = {failure.run: failure for failure in failures}
    seeds: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        seeds.setdefault((run.dataset, run.property, run.scheme, run.model), []).append(run)

    rows = []
    for key, group in seeds.items():
        done = [run for run in group if run in results]
        note = "" if len(done) == len(group) else f"{len(done)} of {len(group)} seeds"
        for same in zip(*(measurements(results[run]) for run in done), strict=True):
            fold, metric, unit, direction, n, _ = same[0]
            values = np.array([measured[-1] for measured in same])
            mean, low, high = values.mean(axis=0)
            std = values[:, 0].std(ddof=1) if len(done) > 1 else np.nan
            rows.append((*key, fold, metric, unit, direction, mean, std, low, high, n, len(done), "done", note))
        for run in group:
            if run in failed:
                status, reason = failed[run].status, f"seed {run.seed}: {failed[run].reason}"
                rows.append((*key, "", "", "", "", *[np.nan] * 4, 0, 0, status, reason))
    return pd.DataFrame(rows, columns=COLUMNS)


def write_summary(results_dir: str | os.PathLike, runs: Sequence[Run], out_csv: str | os.PathLike) -> None:
    """Write :func:`tidy_table` of ``runs`` as CSV."""
    write_table_csv(tidy_table(runs, *read_results(results_dir, runs)), out_csv)


def write_table_csv(table: pd.DataFrame, path: str | os.PathLike) -> None:
    """Write a tidy table unless ``path`` holds it already: an untouched file makes nothing else run again."""
    text = table.to_csv(index=False, float_format="%.10g", lineterminator="\n")
    if not Path(path).is_file() or Path(path).read_text(encoding="utf-8") != text:
        write_text(path, text)


def read_summary(path: str | os.PathLike) -> pd.DataFrame:
    """Read what :func:`write_summary` wrote."""
    numbers = [column for column in COLUMNS if column not in TEXT_COLUMNS]
    return pd.read_csv(
        path,
        dtype=dict.fromkeys(TEXT_COLUMNS, str),
        keep_default_na=False,
        na_values={column: [""] for column in numbers},
    )


def pivot(table: pd.DataFrame, scheme: str, metric: str, fold: str, column: str = "mean") -> pd.DataFrame:
    """Models by tasks of one column of the tidy table; NaN where there is no result.

    Index and columns are all models and all (dataset, property) of the scheme, in the table's order.
    """
    table = table[table["scheme"] == scheme]
    models = pd.unique(table["model"])
    tasks = pd.MultiIndex.from_frame(table[TASK].drop_duplicates())
    chosen = table[(table["metric"] == metric) & (table["fold"] == fold)]
    return chosen.set_index(["model", *TASK])[column].unstack(TASK).reindex(index=models, columns=tasks)


def overall(table: pd.DataFrame, scheme: str, controls: set[str]) -> pd.DataFrame:
    """The ranking of one scheme, best model first.

    Controls are never ranked and stand last. A model is ranked if it has the OOD RMSE of every task, for
    ranks over different tasks do not compare; one that lacks a task has no mean at all and stands after the
    ranked ones.

    Args:
        table: the tidy table.
        scheme: the scheme.
        controls: names of the models that bound the leaderboard.

    Returns:
        By model: ``control``; ``mean_rank``, the mean over tasks of the rank of its OOD RMSE (mean over
        seeds) among the ranked models, where equals share the mean of their ranks; ``normalised_rmse``, the
        geometric mean over tasks of OOD RMSE over floor; ``ood_id_ratio``, the mean over tasks of OOD RMSE
        over ID RMSE; ``tasks_done`` of ``tasks``; ``runs_done`` of ``runs``.
    """
    rmse = pivot(table, scheme, "rmse", "ood")
    normalised = pivot(table, scheme, "normalised_rmse", "ood")
    ratio = pivot(table, scheme, "ood_id_ratio", "ood")
    done_seeds = pivot(table, scheme, "rmse", "ood", "n_seeds").sum(axis=1)
    lost = table[(table["scheme"] == scheme) & (table["metric"] == "")].groupby("model").size()

    frame = pd.DataFrame(index=rmse.index)
    frame["control"] = frame.index.isin(controls)
    complete = rmse.notna().all(axis=1)
    ranked = complete & ~frame["control"]
    ranks = rankdata(rmse[ranked].to_numpy(), axis=0)
    frame["mean_rank"] = pd.Series(ranks.mean(axis=1), index=rmse.index[ranked])
    with np.errstate(divide="ignore"):
        frame["normalised_rmse"] = np.exp(np.log(normalised.to_numpy()).mean(axis=1))
    frame["ood_id_ratio"] = ratio.to_numpy().mean(axis=1)
    frame["tasks_done"] = rmse.notna().sum(axis=1)
    frame["tasks"] = rmse.shape[1]
    frame["runs_done"] = done_seeds.astype(int)
    frame["runs"] = frame["runs_done"] + lost.reindex(frame.index, fill_value=0)
    order = frame.assign(lacking=-frame["tasks_done"]).sort_values(
        ["control", "mean_rank", "lacking", "normalised_rmse"], kind="stable"
    )
    return frame.loc[order.index]
