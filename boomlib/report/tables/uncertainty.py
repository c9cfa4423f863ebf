"""How far intervals and flags are to be believed, by task, and what that says in words."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from boomlib.evaluation.applicability import FLAGS, STRUCTURE
from boomlib.evaluation.comparison import COMPARED
from boomlib.evaluation.uncertainty import MEAN
from boomlib.files import read_json
from boomlib.report.numbers import format_decimals, format_number, format_percent
from boomlib.report.tables.markdown import format_table
from boomlib.report.tables.ranked import RankedModels

INTERVALS = (
    "Model",
    "Interval",
    "Offered",
    "Coverage ID",
    "Coverage OOD",
    "Width ID",
    "Width OOD",
    "Rank correlation ID",
    "Rank correlation OOD",
)
FLAGGED = ("Flag", "Model", "AUROC", "Flagged ID", "Flagged OOD")
ANY = "any"
UNLIKELY = 0.025
"""Probability below which a coverage is too low for chance."""
Judged = Mapping[str, Mapping[str, Any]]
"""What :func:`boomlib.evaluation.uncertainty.judge_uncertainty` has written of the models of a task, by label."""
Named = list[tuple[str, list[Mapping[str, Any]]]]


def describe_uncertainty(results_dir: Path, ranked: RankedModels) -> dict[str, Any]:
    """The ``sentences`` of a scheme, and of each of its ``tasks`` a ``title`` and the tables ``intervals``, ``flags``.

    Left out are models of which nothing is written, or something of other seeds than those that are done, and tasks
    without any model.
    """
    judged = {title: read_judged(results_dir, task, ranked) for task, title in ranked.titles.items()}
    judged = {title: models for title, models in judged.items() if models}
    tasks = [
        {
            "title": title,
            "intervals": format_table(INTERVALS, list_intervals(models), text_columns=3),
            "flags": format_table(FLAGGED, list_flags(models), text_columns=2),
        }
        for title, models in judged.items()
    ]
    sentences = [*state_coverage(judged.values()), *state_flags(judged.values())]
    return {"sentences": sentences, "tasks": tasks}


def read_judged(results_dir: Path, task: tuple[str, str], ranked: RankedModels) -> Judged:
    """What is written of the models of one task, in the order of the ranking."""
    seeds = ranked.select("rmse", "ood", "n_seeds")[task]
    judged = {}
    for model, label in ranked.names.items():
        path = results_dir.joinpath("uncertainty", *task, ranked.scheme, f"{model}.json")
        content = read_json(path) if path.is_file() else {"predictors": []}
        if content["predictors"] and len(select_seeds(content)) == seeds[model]:
            judged[label] = content
    return judged


def select_seeds(content: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The predictors of single seeds."""
    return [each for each in content["predictors"] if each["name"] != MEAN]


def name_predictors(models: Judged) -> Named:
    """The predictors of each model under a name: its seeds under its own, in one entry, and the mean of them apart."""
    named: Named = []
    for label, content in models.items():
        seeds = select_seeds(content)
        named.append((label, seeds))
        named += [(f"{label}, mean of {len(seeds)} seeds", [each]) for each in content["predictors"][len(seeds) :]]
    return named


def list_intervals(models: Judged) -> list[list[str]]:
    """Rows of :data:`INTERVALS`, one a model and kind, over seeds the mean, and one for the mean of its seeds."""
    rows = []
    for label, predictors in name_predictors(models):
        for kind in dict.fromkeys(kind for each in predictors for kind in each["intervals"]):
            having = [each for each in predictors if kind in each["intervals"]]
            folds = [each["intervals"][kind]["folds"] for each in having]
            measured = {
                measure: [find_mean(each[fold][measure] for each in folds) for fold in COMPARED]
                for measure in ("coverage", "width", "rank_correlation")
            }
            rows.append(
                [
                    label,
                    kind,
                    count_offered([each["offered"] == kind for each in having]),
                    *map(format_percent, measured["coverage"]),
                    *map(format_number, measured["width"]),
                    *map(format_decimals, measured["rank_correlation"]),
                ]
            )
    return rows


def count_offered(offered: Sequence[bool]) -> str:
    """Whether an interval is offered: yes, no, or by how many of the seeds."""
    if len(set(offered)) == 1:
        return "yes" if offered[0] else "no"
    return f"{sum(offered)} of {len(offered)} seeds"


def list_flags(models: Judged) -> list[list[str]]:
    """Rows of :data:`FLAGGED`, one a flag, of those that depend on the model one a model."""
    named = name_predictors(models)
    rows = []
    for flag in FLAGS:
        for label, predictors in [(ANY, named[0][1])] if flag in STRUCTURE else named:
            found = [each["flags"][flag] for each in predictors if flag in each["flags"]]
            if found:
                auroc, *shares = (find_mean(each[key] for each in found) for key in ("auroc", *COMPARED))
                rows.append([flag, label, format_decimals(auroc), *map(format_percent, shares)])
    return rows


def find_mean(values: Iterable[float | None]) -> float | None:
    """The mean; None if a value is, or there is none."""
    listed = list(values)
    return float(np.mean(listed)) if listed and None not in listed else None


def state_coverage(tasks: Iterable[Judged]) -> Iterable[str]:
    """What the intervals that users get hold on ID and OOD, and how often that is too little."""
    contents = [content for models in tasks for content in models.values()]
    given = [content["predictors"][-1] for content in contents]
    offered = [each["intervals"][each["offered"]]["folds"] for each in given]
    told = [folds for folds in offered if all(folds[fold]["n"] for fold in COMPARED)]
    if not told:
        return
    nominal = f"{100 * contents[0]['confidence']:.0f} %"
    held = {fold: [folds[fold]["coverage"] for folds in told] for fold in COMPARED}
    ranges = {fold: " to ".join(map(format_percent, dict.fromkeys([min(x), max(x)]))) for fold, x in held.items()}
    means = {fold: format_percent(float(np.mean(x))) for fold, x in held.items()}
    few = {fold: sum(folds[fold]["chance"] < UNLIKELY for folds in told) for fold in COMPARED}
    yield (
        f"Intervals that promise {nominal} of the labels hold {ranges['id']} on ID and {ranges['ood']} on OOD; in the "
        f"mean {means['id']} and {means['ood']}. What ID lacks is what it costs that valid has calibrated and, before "
        "that, chosen penalties, epochs or weights."
    )
    lesson = f": {nominal} are no {nominal} on molecules unlike those of valid" if few["ood"] else ""
    found = [f"{few[fold]} of {len(told)} on {fold.upper()}" for fold in COMPARED]
    yield f"Too few, beyond chance, hold {' and '.join(found)}{lesson}."


def state_flags(tasks: Iterable[Judged]) -> Iterable[str]:
    """Which flag tells OOD from ID best, by the mean AUROC over tasks and models, each with all of its seeds."""
    predictors = [content["predictors"][-1] for models in tasks for content in models.values()]
    found = {flag: [each["flags"][flag]["auroc"] for each in predictors if flag in each["flags"]] for flag in FLAGS}
    known = {flag: [value for value in values if value is not None] for flag, values in found.items()}
    means = {flag: float(np.mean(values)) for flag, values in known.items() if values}
    if means:
        ordered = sorted(means, key=lambda flag: -means[flag])
        listed = ", ".join(f"{flag} {format_decimals(means[flag])}" for flag in ordered)
        yield f"Mean AUROC of the flags for telling OOD from ID, of which 0.5 is chance: {listed}."
