"""How does the error on valid fall with the molecules seen, and by how much still in the last fifth of a training?

    python benchmarks/learning_curves.py docs/benchmarks/all docs/benchmarks/assets/learning_curves.png
    python benchmarks/learning_curves.py results learning_curves.png --scheme scaffold

Draws a panel a task, and prints, in Markdown, by how much the least RMSE on valid of a training lies below the least
of its first four fifths, which between two epochs is interpolated. Of several seeds the first counts, of a training
in two phases (NL-MTP's) the first phase. A large fall says that the training ended before it had settled; what more
epochs would give only more epochs tell, since a rate that falls to its end takes a part of both. No error on a test
fold is read.
"""

import argparse
import itertools
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.ticker import MaxNLocator

from boomlib.evaluation.records import list_recorded, read_curve, read_runs
from boomlib.files import ContractError
from boomlib.report.figures.style import TASK_COLOURS, TASK_MARKERS, open_figure
from boomlib.report.numbers import NONE, format_percent
from boomlib.report.tables.markdown import format_table
from boomlib.report.tables.progress import name_properties

LAST = 0.8
"""The part of a training that is behind it when its last fifth begins."""
MARKED = 0.02
"""A fall within the last fifth from which on it is bold."""

REMEDY = "give a publication that keeps its runs (--merge), or results/ of a finished run"

Curve = tuple[np.ndarray, np.ndarray]
"""Molecules seen after each epoch, and the RMSE on valid there, without epochs whose RMSE was no number."""


def read_curves(folder: Path, scheme: str) -> dict[str, dict[str, Curve]]:
    """By task and model, of the runs that are done and have epochs.

    Raises:
        ContractError: the folder has no table of runs, or no run of the scheme has kept the history of its epochs.
    """
    table = folder / "runs.csv"
    if not table.is_file():
        raise ContractError(f"{table}: no such file; {REMEDY}")
    place = folder / "runs" if (folder / "runs").is_dir() else folder
    records = read_runs(table)
    curves: dict[str, dict[str, Curve]] = {}
    if "n_train" in records:  # tables of earlier versions have none, and keep no runs
        done = records[(records["scheme"] == scheme) & (records["status"] == "done")]
        for run, n_train in zip(list_recorded(done), done["n_train"], strict=True):
            of_task = curves.setdefault(run.task, {})
            if run.model in of_task:
                continue
            epochs, errors = map(np.array, read_curve(place / f"predictions/{run.stem}/history.csv"))
            if (told := np.isfinite(errors)).any():
                of_task[run.model] = epochs[told] * int(n_train), errors[told]
    curves = {task: of_task for task, of_task in curves.items() if of_task}
    if not curves:
        raise ContractError(f"{place}: no history of epochs of the scheme {scheme}; {REMEDY}")
    return curves


def find_last_fall(curve: Curve) -> float:
    """The part by which the least error of all lies below the least of the first four fifths.

    NaN of a training without an epoch in the first four fifths.
    """
    seen, errors = curve
    least, end = np.minimum.accumulate(errors), LAST * seen[-1]
    if seen[0] > end:
        return np.nan
    return 1.0 - float(np.exp(np.log(least[-1]) - np.interp(end, seen, np.log(least))))


def list_models(curves: Mapping[str, Mapping[str, Curve]]) -> list[str]:
    """All models, each at its first task."""
    return list(dict.fromkeys(itertools.chain.from_iterable(curves.values())))


def tabulate(curves: Mapping[str, Mapping[str, Curve]]) -> str:
    """A row a model: its last fall on each task, as Markdown; bold from :data:`MARKED` on."""
    names = name_properties([task.split("/") for task in curves])
    rows = []
    for model in list_models(curves):
        cells = []
        for task in curves:
            fall = find_last_fall(curves[task][model]) if model in curves[task] else np.nan
            shown = NONE if np.isnan(fall) else format_percent(fall)
            cells.append(f"**{shown}**" if fall >= MARKED else shown)
        rows.append([model, *cells])
    return format_table(["Model", *names], rows)


def draw(curves: Mapping[str, Mapping[str, Curve]], out: Path) -> None:
    """RMSE on valid, logarithmic, over molecules seen, a panel a task."""
    across = min(5, len(curves))
    down = -(-len(curves) // across)
    models = list_models(curves)
    with open_figure(out, 2.4 * across + 0.6, 2.2 * down + 0.5) as figure:
        panels = figure.subplots(down, across, squeeze=False).ravel()
        for axes in panels[len(curves) :]:
            axes.remove()
        handles = {}
        for axes, (task, of_task) in zip(panels, curves.items(), strict=False):
            for model, (seen, errors) in of_task.items():
                place = models.index(model)
                colour, marker = TASK_COLOURS[place % len(TASK_COLOURS)], TASK_MARKERS[place % len(TASK_MARKERS)]
                line = ("-", "--", ":")[place // len(TASK_COLOURS) % 3]
                (handles[model],) = axes.semilogy(
                    seen / 1000,
                    errors,
                    line,
                    color=colour,
                    marker=marker,
                    markersize=3,
                    linewidth=0.9,
                    markevery=max(1, len(seen) // 6),
                )
            axes.set_title(task)
            axes.xaxis.set_major_locator(MaxNLocator(3))
        figure.supxlabel("thousands of molecules seen", fontsize=9)
        figure.supylabel("RMSE on valid, the property's unit", fontsize=9)
        figure.legend(handles.values(), handles, loc="outside upper center", ncols=6)


def main() -> None:
    """Draw and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="docs/benchmarks/all, or results of a finished run")
    parser.add_argument("figure", type=Path, help="a PNG to be drawn")
    parser.add_argument("--scheme", default="kde")
    arguments = parser.parse_args()
    try:
        curves = read_curves(arguments.folder, arguments.scheme)
    except ContractError as error:
        sys.exit(f"error: {error}")
    print(tabulate(curves))
    draw(curves, arguments.figure)


if __name__ == "__main__":
    main()
