"""The data of a task's page: molecules, predictions, hardest molecules, distribution, differences, learning curves."""

from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from boomlib.contracts import FOLDS
from boomlib.evaluation.comparison import COMPARED
from boomlib.evaluation.ranking import pivot
from boomlib.evaluation.records import read_curve
from boomlib.files import read_json
from boomlib.report.numbers import format_interval, format_number
from boomlib.report.site.answers import Answers
from boomlib.report.site.board import as_number
from boomlib.report.site.differences import list_differences
from boomlib.report.site.drawings import draw, locate
from boomlib.report.site.script import pack_numbers, pack_text, to_json, write_script
from boomlib.report.site.source import Source
from boomlib.report.site.uncertainty import describe_intervals

DRAWN = 200
"""Molecules that RDKit draws, the hardest ones; the page draws the others from their positions."""
BINS = 80
"""Of the histogram, as in the figure of the distribution."""


def write_task(source: Source, folder: Path, task: tuple[str, str, str], answers: Answers) -> Iterator[Path]:
    """Write the data of one task, and a file of predictions a model; yields the files.

    Args:
        source: tables and entries.
        folder: the site's.
        task: dataset, property and scheme.
        answers: what models say of it.
    """
    place = "/".join(task)
    for model, y_pred in answers.first.items():
        content = {"seed": answers.seeds[model], "y": pack_numbers(y_pred)}
        yield write_script(folder, f"tasks/{place}/{model}", content)
    seen = answers.y[np.isin(answers.fold, ("train", "valid"))]
    split = source.records[(source.records[["dataset", "property", "scheme"]] == list(task)).all(axis=1)]
    hardest = list_hardest(source, place, answers)
    content = {
        "seen": [as_number(seen.min()), as_number(seen.max())] if len(seen) else None,
        "split": next(filter(None, split["split"]), "") if "split" in split else "",
        "sizes": {name: f"{int((answers.fold == name).sum()):,}" for name in FOLDS},
        "y": [as_number(value) for value in answers.labels],
        "fold": "".join(name[0] for name in answers.folds),
        "id": answers.tested.tolist(),
        "models": list(answers.first),
        "hardest": hardest,
        "histogram": count(answers),
        "differences": describe_differences(source, task),
        "uncertainty": describe_intervals(source, task),
        "curves": list_curves(source, task),
        "molecules": pack_text(
            to_json(
                {
                    "smiles": answers.smiles,
                    "located": [locate(smiles) for smiles in answers.smiles],
                    "drawn": {each["at"]: draw(answers.smiles[each["at"]]) for each in hardest},
                }
            )
        ),
    }
    yield write_script(folder, f"tasks/{place}/task", content)


def list_hardest(source: Source, place: str, answers: Answers) -> list[dict[str, Any]]:
    """The :data:`DRAWN` hardest molecules by their position among those tested, with numbers as text.

    The first of them are those of the leaderboard, which says whose label is suspect.
    """
    predictions, hardness = answers.judge(source.roles.unjudged)
    path = source.results / f"hardest/{place}.json"
    listed = read_json(path)["molecules"] if path.is_file() else []
    found = []
    for number, at in enumerate(np.argsort(-hardness, kind="stable")[: DRAWN if len(predictions) else 0].tolist()):
        said = predictions[:, at]
        known = listed[number] if number < len(listed) else {}
        found.append(
            {
                "at": at,
                "listed": bool(known),
                "suspect": bool(known.get("doubted")),
                "name": known.get("name", f"molecule {answers.tested[at]}"),
                "label": format_number(answers.labels[at]),
                "median": format_number(float(np.median(said))),
                "range": format_interval(float(said.min()), float(said.max())),
                "error": format_number(float(hardness[at])),
            }
        )
    return found


def count(answers: Answers) -> dict[str, Any]:
    """Edges of the bins of the labels, and the number of molecules in each by fold."""
    known = answers.y[np.isin(answers.fold, FOLDS)]
    edges = np.histogram_bin_edges(known, bins=BINS)
    counts = {name: np.histogram(answers.y[answers.fold == name], edges)[0].tolist() for name in FOLDS}
    return {"edges": [as_number(edge) for edge in edges], "counts": counts}


def describe_differences(source: Source, task: tuple[str, str, str]) -> dict[str, Any]:
    """The models that are compared, and by fold how any two differ."""
    dataset, name, scheme = task
    runs = {model: own for model, own in source.group_runs(*task).items() if model not in source.roles.controls}
    rmse = {fold: pivot(source.metrics, scheme, "rmse", fold)[dataset, name].to_dict() for fold in COMPARED}
    return {"models": list(runs), "folds": list_differences(source.results, runs, rmse)}


def list_curves(source: Source, task: tuple[str, str, str]) -> dict[str, list[list[float | None]]]:
    """By model the epochs of its first finished seed, and the RMSE on valid after each; of those that have epochs."""
    curves = {}
    for model, runs in source.group_runs(*task).items():
        epochs, errors = read_curve(source.results / f"predictions/{runs[0].stem}/history.csv")
        if epochs:
            curves[model] = [epochs, [error if isfinite(error) else None for error in errors]]
    return curves
