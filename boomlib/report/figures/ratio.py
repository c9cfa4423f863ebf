"""The figure of the RMSE on OOD over that on ID, models by tasks."""

import os
from collections.abc import Mapping, Sequence, Set
from math import log10

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from boomlib.report.figures.ranked import label_models, read_ranked
from boomlib.report.figures.style import TASK_COLOURS, TASK_MARKERS, open_figure


def plot_ratio(
    leaderboard_csv: str | os.PathLike,
    out_png: str | os.PathLike,
    *,
    scheme: str,
    labels: Mapping[str, str],
    controls: Set[str],
) -> None:
    """Draw the RMSE on OOD over that on ID, one point a model and task; right of 1 OOD is harder.

    A black bar is the mean over tasks of a model that has them all; one that lacks some says so. Arguments are those
    of :func:`boomlib.report.figures.heatmap.plot_heatmap`.
    """
    ranking, values, names, ranked = read_ranked(leaderboard_csv, scheme, "ood_id_ratio", labels, controls)
    cells = values.to_numpy()
    tasks = [f"{dataset}/{name}" for dataset, name in values.columns]
    shown = np.append(cells[np.isfinite(cells)], 1)
    with open_figure(out_png, 7, (0.22 + 0.015 * len(tasks)) * len(names) + 0.8) as fig:
        ax = fig.subplots()
        for row in range(0, len(names), 2):
            ax.axhspan(row - 0.5, row + 0.5, color="0.96", lw=0, zorder=0)
        ax.axvline(1, color="0.35", lw=0.8, zorder=1)
        draw_tasks(ax, cells, tasks)
        style = {"marker": "|", "s": 110, "lw": 1.6, "color": "k", "zorder": 2}
        ax.scatter(ranking["ood_id_ratio"], range(len(names)), label="mean", **style)
        ax.set_xscale("log")
        ax.set_xlim(shown.min() / 1.15, shown.max() * 1.15)
        wide = log10(shown.max() / shown.min()) > 2.5
        ax.xaxis.set_major_locator(LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 5.0)))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
        for row, found in enumerate(np.isfinite(cells).sum(axis=1)):
            if found < len(tasks):
                note = f"{found} of {len(tasks)} tasks"
                ax.text(1.01, row, note, transform=ax.get_yaxis_transform(), va="center", fontsize=7, color="0.4")
        label_models(ax, names, ranked)
        ax.set_ylim(len(names) - 0.5, -0.5)
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
        ax.set_xlabel("RMSE on OOD / RMSE on ID")
        fig.legend(loc="outside right upper")


def draw_tasks(ax: Axes, cells: np.ndarray, tasks: Sequence[str]) -> None:
    """One point a model and task of ``cells`` [models, tasks], the tasks of a model below each other."""
    offsets = np.linspace(-0.28, 0.28, len(tasks)) if len(tasks) > 1 else np.zeros(1)
    for index, task in enumerate(tasks):
        colour = TASK_COLOURS[index % len(TASK_COLOURS)]
        marker = TASK_MARKERS[(index + index // len(TASK_COLOURS)) % len(TASK_MARKERS)]
        at = np.arange(len(cells)) + offsets[index]
        ax.scatter(cells[:, index], at, s=16, lw=0, color=colour, marker=marker, label=task, zorder=3)
