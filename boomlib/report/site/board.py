"""The data of the overview: every metric of every model and task as in ``leaderboard.csv``, with its text."""

import importlib
from typing import Any

import numpy as np
import pandas as pd
import yaml
from scipy.stats import rankdata

from boomlib.evaluation.comparison import COMPARED
from boomlib.evaluation.metrics import METRICS
from boomlib.evaluation.ranking import find_best, find_untold, pivot, rank_models
from boomlib.external import is_external
from boomlib.report.making import describe_making
from boomlib.report.needs import describe_needs
from boomlib.report.numbers import NONE, format_interval, format_metric, format_number
from boomlib.report.site.source import Source
from boomlib.report.tables.splits import FOLDS
from boomlib.report.tables.training import list_versions

NORMALISED, RATIO = "normalised_rmse", "ood_id_ratio"
"""Metrics of the table that stand beside those of the registry."""
ORDER = ("ood", "id", "ood_tail", "ood_interior", "valid")
"""The folds in the order of their menu."""
HINTS = {
    "rmse": "Root of the mean squared error",
    "mae": "Mean absolute error",
    "r2": "Coefficient of determination",
    "pearson": "Pearson's correlation",
    "spearman": "Spearman's rank correlation",
    "bias": "Mean of predicted minus true",
    "r2_binned": "Mean of R² of the molecules below and above the median of train's labels, as BOOM reports",
    "median_ae": "Half of the molecules have a smaller absolute error",
    "rmse_trimmed": "The model's own worst molecules, at least one, left out",
    "worst_five_share": "Share of the squared error that the model's five worst molecules have",
}


def describe_board(source: Source, config_hash: str) -> dict[str, Any]:
    """All that the overview shows, and what the other pages call models, tasks and metrics."""
    lost = source.records[source.records["status"] != "done"]
    return {
        "making": describe_making(source.records),
        "config": config_hash,
        "versions": list_versions(source.records),
        "runs": len(source.records),
        "lost": len(lost),
        "others": [list(each) for each in source.others],
        "folds": {name: FOLDS[name] for name in ORDER},
        "metrics": list_metrics(),
        "tasks": [describe_task(source, *task) for task in source.tasks],
        "models": {name: describe_model(source, name) for name in source.used},
        "answered": sorted({f"{run.task}/{run.scheme}" for run in source.finished if source.has_answers(run)}),
        "policies": [run.stem for run in source.policy_runs],
        "schemes": {scheme: describe_scheme(source, scheme) for scheme in source.schemes},
    }


def list_metrics() -> dict[str, dict[str, Any]]:
    """Label, arrow, direction and a hint of the metrics, by name; whether they have the property's unit."""
    found = {
        name: {
            "label": metric.label,
            "arrow": metric.arrow,
            "direction": metric.direction,
            "unit": metric.unit == "property",
            "hint": HINTS.get(name, metric.label),
        }
        for name, metric in METRICS.items()
    }
    hint = "RMSE on OOD divided by RMSE on ID"
    return found | {RATIO: {"label": "OOD / ID", "arrow": "↓", "direction": "min", "unit": False, "hint": hint}}


def describe_task(source: Source, dataset: str, name: str) -> dict[str, str]:
    """The names, unit and kind of one task."""
    described = source.describe_property(dataset, name)
    return {
        "name": f"{dataset}/{name}",
        "label": described.get("label", name),
        "dataset": source.datasets[dataset]["label"],
        "unit": described["unit"],
        "kind": described["kind"],
    }


def describe_model(source: Source, name: str) -> dict[str, Any]:
    """The descriptor of one model for people."""
    model = source.used[name]
    starts = sorted({start for start in source.records.loc[source.records["model"] == name, "pretrained"] if start})
    return {
        "label": source.roles.label(name),
        "control": name in source.roles.controls,
        "external": is_external(model),
        "family": model["family"],
        "size": source.roles.sizes.get(name, ""),
        "class": model["class"],
        "variant_of": source.config.get("variants", {}).get(name, {}).get("of", ""),
        "features": list(model["features"]),
        "needs": describe_needs(source.needs.get(name, {})),
        "kinds": sorted(set(source.needs.get(name, {}).values())),
        "start": "; ".join(starts) or NONE,
        "pretrained": any(start != "scratch" for start in starts),
        "source": " ".join(model["source"].replace("`", "").split()),
        "citation": model.get("citation", ""),
        "licence": model.get("licence", ""),
        "parameters": yaml.safe_dump(dict(model["parameters"]), sort_keys=False, allow_unicode=True).strip(),
    }


def describe_scheme(source: Source, scheme: str) -> dict[str, Any]:
    """Ranking, values, best models and lost runs of one scheme."""
    module = importlib.import_module(f"boomlib.splits.{scheme}")
    metrics, controls = source.metrics, source.roles.controls
    chosen = metrics[metrics["scheme"] == scheme]
    tasks = list(pivot(metrics, scheme, "rmse", "ood").columns)
    best = {fold: find_best(metrics, scheme, fold, controls) for fold in COMPARED}
    return {
        "title": module.TITLE.replace("`", ""),
        "text": module.TEXT,
        "tasks": ["/".join(task) for task in tasks],
        "ranking": list_ranking(rank_models(metrics, scheme, controls)),
        "values": list_values(chosen, tasks),
        "sizes": list_sizes(chosen, tasks),
        "best": {
            fold: {
                model: [int(flag) for flag in row] for model, row in zip(frame.index, frame.to_numpy(), strict=True)
            }
            for fold, frame in best.items()
        },
        "untold": {fold: [int(flag) for flag in find_untold(metrics, scheme, controls, fold)] for fold in COMPARED},
        "places": list_places(pivot(metrics, scheme, "rmse", "ood"), controls),
        "lost": list_lost(source.records, scheme),
        "seeds": list_seeds(chosen),
    }


def list_ranking(ranking: pd.DataFrame) -> list[dict[str, Any]]:
    """The models of a scheme, the best first, with their means as number and text, as in the Markdown's overview."""
    return [
        {
            "model": row.Index,
            "rank": [as_number(row.mean_rank), NONE if np.isnan(row.mean_rank) else f"{row.mean_rank:.2f}"],
            "normalised": [as_number(row.normalised_rmse), format_number(row.normalised_rmse)],
            "ratio": [as_number(row.ood_id_ratio), format_number(row.ood_id_ratio)],
            "tasks": f"{row.tasks_done} of {row.tasks}",
            "runs": f"{row.runs_done} of {row.runs}",
        }
        for row in ranking.itertuples()
    ]


def list_values(chosen: pd.DataFrame, tasks: list[tuple[str, str]]) -> dict[str, dict[str, dict[str, list]]]:
    """By fold, metric and model a cell a task: the number of the table, its text and its interval's; None without.

    Args:
        chosen: the rows of a scheme.
        tasks: dataset and property of the columns.
    """
    column = {task: index for index, task in enumerate(tasks)}
    values: dict[str, dict[str, dict[str, list]]] = {}
    for row in chosen[chosen["metric"] != ""].itertuples():
        if np.isfinite(row.mean):
            models = values.setdefault(row.fold, {}).setdefault(row.metric, {})
            cells = models.setdefault(row.model, [None] * len(tasks))
            plain = row.metric in METRICS and METRICS[row.metric].unit == "none"
            text = format_metric(row.metric, row.mean) if plain else format_number(row.mean, row.std)
            interval = "" if np.isnan(row.low) else format_interval(row.low, row.high)
            cells[column[row.dataset, row.property]] = [as_number(row.mean), text, interval]
    return values


def list_sizes(chosen: pd.DataFrame, tasks: list[tuple[str, str]]) -> dict[str, list[int]]:
    """By fold the number of molecules of each task; 0 where no run has finished."""
    tested = chosen[chosen["metric"] == "rmse"].groupby(["fold", "dataset", "property"])["n_molecules"].first()
    return {fold: [int(tested.get((fold, *task), 0)) for task in tasks] for fold in FOLDS}


def list_places(rmse: pd.DataFrame, controls: frozenset[str]) -> dict[str, list[str]]:
    """By model, on each task, the rank of its OOD RMSE among those that are no controls; equals share the mean."""
    ranked = rmse[~rmse.index.isin(controls)]
    ranks = rankdata(ranked.to_numpy(), axis=0, nan_policy="omit") if len(ranked) else ranked.to_numpy()
    counts = ranked.notna().sum()
    return {
        model: [NONE if np.isnan(rank) else f"{rank:g} of {n}" for rank, n in zip(row, counts, strict=True)]
        for model, row in zip(ranked.index, ranks, strict=True)
    }


def list_lost(records: pd.DataFrame, scheme: str) -> dict[str, dict[str, list[list[str]]]]:
    """By model and task, the seed, status and reason of each run without a result."""
    found: dict[str, dict[str, list[list[str]]]] = {}
    for row in records[(records["scheme"] == scheme) & (records["status"] != "done")].itertuples():
        runs = found.setdefault(row.model, {}).setdefault(f"{row.dataset}/{row.property}", [])
        runs.append([row.seed, row.status, row.reason])
    return found


def list_seeds(chosen: pd.DataFrame) -> dict[str, dict[str, str]]:
    """By model and task how many seeds are done, where some are lacking."""
    partly = chosen[(chosen["status"] == "done") & (chosen["reason"] != "")]
    found: dict[str, dict[str, str]] = {}
    for row in partly.drop_duplicates(["model", "dataset", "property"]).itertuples():
        found.setdefault(row.model, {})[f"{row.dataset}/{row.property}"] = row.reason
    return found


def as_number(value: float) -> float | None:
    """A number with the ten digits that ``leaderboard.csv`` has; None for one that JSON does not know."""
    return float(f"{value:.10g}") if np.isfinite(value) else None
