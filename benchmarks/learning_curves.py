"""How does the error on valid fall with the molecules seen, and which networks still learn when their training ends?

    python benchmarks/learning_curves.py docs/benchmarks/all docs/benchmarks/assets/learning_curves.png
    python benchmarks/learning_curves.py results learning_curves.png --scheme scaffold

Draws a panel a task, and prints, in Markdown, by how much the least RMSE on valid of the last fifth of a training lies
below that of all before it; 0: nothing was won there. Of several seeds the first counts. A rate that falls to 0 brings
part of every last fall, so that :data:`STILL` says which are worth more epochs, not which would end where. No error on
a test fold is read.
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

LAST = 0.8
"""The part of a training that is behind it when its last fifth begins."""
STILL = 0.02
"""A fall of the error within the last fifth that says: it still learns."""

Curve = tuple[np.ndarray, np.ndarray]
"""Molecules seen after each epoch, and the RMSE on valid there."""


def read_curves(folder: Path, scheme: str) -> dict[str, dict[str, Curve]]:
    """By task and model, of the runs that are done and have epochs.

    Raises:
        ContractError: the folder has no table of runs, or no run of the scheme has kept the history of its epochs.
    """
    table = folder / "runs.csv"
    if not table.is_file():
        raise ContractError(f"{table}: no such file; give results/, or a folder of docs/benchmarks")
    place = folder / "runs" if (folder / "runs").is_dir() else folder
    records = read_runs(table)
    done = records[(records["scheme"] == scheme) & (records["status"] == "done")]
    curves: dict[str, dict[str, Curve]] = {}
    for run, n_train in zip(list_recorded(done), done["n_train"], strict=True):
        epochs, errors = read_curve(place / f"predictions/{run.stem}/history.csv")
        if epochs:
            of_task = curves.setdefault(run.task, {})
            of_task.setdefault(run.model, (np.array(epochs) * int(n_train), np.array(errors)))
    if not curves:
        raise ContractError(
            f"{place}: no history of epochs of the scheme {scheme}; give a publication made with --merge, or results/"
        )
    return curves


def find_last_fall(curve: Curve) -> float:
    """The part by which the least error of the last fifth lies below the least before it, 0 where it does not.

    NaN of a training with fewer than five epochs, which has no last fifth.
    """
    seen, errors = curve
    last = seen > LAST * seen[-1]
    if len(seen) < 5:
        return np.nan
    return max(0.0, 1.0 - float(np.nanmin(errors[last]) / np.nanmin(errors[~last])))


def tabulate(curves: Mapping[str, Mapping[str, Curve]]) -> str:
    """A row a model: its last fall on each task, as Markdown; bold from :data:`STILL` on."""
    rows = []
    for model in dict.fromkeys(itertools.chain.from_iterable(curves.values())):
        cells = []
        for task in curves:
            fall = find_last_fall(curves[task][model]) if model in curves[task] else np.nan
            shown = NONE if np.isnan(fall) else format_percent(fall)
            cells.append(f"**{shown}**" if fall >= STILL else shown)
        rows.append([model, *cells])
    return format_table(["Model", *curves], rows)


def draw(curves: Mapping[str, Mapping[str, Curve]], out: Path) -> None:
    """RMSE on valid, logarithmic, over molecules seen, a panel a task."""
    across = min(5, len(curves))
    down = -(-len(curves) // across)
    models = list(dict.fromkeys(itertools.chain.from_iterable(curves.values())))
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
        order = [model for model in models if model in handles]
        figure.legend([handles[model] for model in order], order, loc="outside lower center", ncols=4)


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
