"""The figure of the normalised OOD RMSE, models by tasks."""

import os
from collections.abc import Mapping, Set
from math import isnan

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.patches import Rectangle
from matplotlib.ticker import NullLocator

from boomlib.report.figures.ranked import label_models, read_ranked
from boomlib.report.figures.style import open_figure


def shorten_number(value: float) -> str:
    """Two significant digits, for a small cell."""
    if value == 0 or isnan(value):
        return "0" if value == 0 else "—"
    power = int(f"{value:.1e}".split("e")[1])
    return (
        f"{value:.{max(0, 1 - power)}f}" if -4 < power < 4 else f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")
    )


def plot_heatmap(
    leaderboard_csv: str | os.PathLike,
    out_png: str | os.PathLike,
    *,
    scheme: str,
    labels: Mapping[str, str],
    controls: Set[str],
) -> None:
    """Draw the normalised OOD RMSE, models by tasks; white is the floor, blue better, red worse.

    Args:
        leaderboard_csv: the metrics that :func:`boomlib.evaluation.summary.write_summary` wrote.
        out_png: the figure.
        scheme: the scheme to show.
        labels: name for people, by model.
        controls: models that stand last.
    """
    _, values, names, ranked = read_ranked(leaderboard_csv, scheme, "normalised_rmse", labels, controls)
    tasks = [f"{dataset}\n{name}" for dataset, name in values.columns]
    cells = values.to_numpy()
    finite = np.abs(np.log10(cells[np.isfinite(cells) & (cells > 0)]))
    decades = float(np.clip(finite.max(initial=0), 0.3, 1))
    norm = LogNorm(10**-decades, 10**decades)
    column = max(0.62, 0.07 * max(len(part) for task in tasks for part in task.split("\n")) + 0.12)
    width, height = 0.075 * max(map(len, names)) + column * len(tasks) + 1.1, 0.24 * len(names) + 0.7
    with open_figure(out_png, width, height) as fig:
        ax = fig.subplots()
        ax.set_aspect("auto")
        shown = np.ma.masked_invalid(np.where(cells == 0, norm.vmin, cells))
        image = ax.imshow(shown, cmap="RdBu_r", norm=norm, aspect="auto")
        write_cells(ax, cells, dark_from=0.55 * decades)
        ax.set_xticks(range(len(tasks)), tasks)
        ax.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
        label_models(ax, names, ranked)
        ax.spines[:].set_visible(False)
        ax.set_xticks(np.arange(1, len(tasks)) - 0.5, minor=True)
        ax.set_yticks(np.arange(1, len(names)) - 0.5, minor=True)
        ax.grid(which="minor", color="w", lw=1)
        ax.tick_params(which="minor", length=0)
        bar = fig.colorbar(image, ax=ax, extend="both", pad=0.02, fraction=0.05, aspect=30)
        ticks = [tick for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10) if norm.vmin <= tick <= norm.vmax]
        bar.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])
        bar.ax.yaxis.set_minor_locator(NullLocator())
        bar.outline.set_visible(False)
        bar.set_label("OOD RMSE / RMSE of the train mean", fontsize=8)


def write_cells(ax: Axes, cells: np.ndarray, dark_from: float) -> None:
    """The numbers [models, tasks], white on cells ``dark_from`` decades off 1; one without a number is hatched."""
    for (row, col), value in np.ndenumerate(cells):
        if isnan(value):
            corner = (col - 0.5, row - 0.5)
            ax.add_patch(Rectangle(corner, 1, 1, fc="0.93", ec="0.75", hatch="////", lw=0))
        dark = value == 0 or abs(np.log10(value)) > dark_from
        style = {"ha": "center", "va": "center", "fontsize": 7, "color": "w" if dark else "0.1"}
        ax.text(col, row, shorten_number(value), **style)
