"""The figures of a leaderboard: where they lie under the results folder, and their captions."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from boomlib.report.roles import Roles
from boomlib.runs import Run

OVERVIEW = {"heatmap": "Normalised OOD RMSE", "ratio": "OOD RMSE over ID RMSE"}
"""Captions of what is drawn of a whole scheme, from ``leaderboard.csv``."""
BY_TASK = {"parity": "Predicted against true", "distribution": "Distribution of", "hardest": "Hardest molecules of"}


@dataclass(frozen=True)
class CataloguedFigure:
    """``path`` is relative to the results folder; ``kind`` is the module that draws it."""

    kind: str
    scheme: str
    path: str
    caption: str


def list_figures(runs: Sequence[Run], roles: Roles) -> list[CataloguedFigure]:
    """All figures of the leaderboard of ``runs`` in its order: by scheme overviews and tasks, then policies."""
    figures = []
    for scheme in dict.fromkeys(run.scheme for run in runs):
        split, tasks = f"{scheme} split", dict.fromkeys(run.task for run in runs if run.scheme == scheme)
        for kind, caption in OVERVIEW.items():
            figures.append(CataloguedFigure(kind, scheme, f"plots/{kind}/{scheme}.png", f"{caption}, {split}"))
        for kind, caption in BY_TASK.items():
            figures += [
                CataloguedFigure(kind, scheme, f"plots/{kind}/{task}/{scheme}.png", f"{caption} {task}, {split}")
                for task in tasks
            ]
    for run in runs:
        if run.model in roles.evaluators:
            caption = f"Policy of {roles.label(run.model)}, {run.task}, {run.scheme} split, seed {run.seed}"
            figures.append(CataloguedFigure("policy", run.scheme, f"plots/policy/{run.stem}.png", caption))
    return figures


def find_figures(results_dir: Path, runs: Sequence[Run], roles: Roles, finished: bool) -> list[CataloguedFigure]:
    """Those of :func:`list_figures` that exist: what a page shows and what is published with it.

    Where runs are not ``finished``, the overviews are left out: those that exist are of an earlier leaderboard.
    """
    return [
        figure
        for figure in list_figures(runs, roles)
        if (results_dir / figure.path).is_file() and (finished or figure.kind not in OVERVIEW)
    ]
