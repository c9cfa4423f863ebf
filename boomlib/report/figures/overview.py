"""The figures of the leaderboard. The same files make the same PNG, byte for byte."""

import contextlib
import os
import textwrap
from collections.abc import Iterator, Sequence
from math import ceil, isnan, log10, sqrt
from pathlib import Path

import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from boomlib.contracts import FOLDS, read_predictions, read_truth
from boomlib.evaluation.metrics import rmse
from boomlib.evaluation.summary import overall, pivot, read_summary
from boomlib.files import atomic_path, commit
from boomlib.report.tables.markdown import format_number

# Okabe and Ito's palette, which people with any colour vision tell apart
FOLD_COLOURS = {"train": "#C4C4C4", "valid": "#7A7A7A", "id": "#0072B2", "ood": "#D55E00"}
FOLD_LABELS = {"train": "train", "valid": "valid", "id": "ID", "ood": "OOD"}
TASK_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
TASK_MARKERS = "osD^vPX"
CROWDED = 2000
"""Points in a parity panel from which they are drawn as a two-dimensional histogram."""
STYLE = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 9,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "hatch.linewidth": 0.5,
}


@contextlib.contextmanager
def figure(out_png: str | os.PathLike, width: float, height: float) -> Iterator[Figure]:
    """A figure of ``width`` by ``height`` inches, saved to ``out_png`` when the block ends."""
    with matplotlib.style.context(["default", STYLE]):
        made = Figure(figsize=(width, height), layout="constrained")
        yield made
        made.savefig(atomic_path(out_png), format="png", dpi=150, metadata={"Software": None})
    commit(out_png)


def plot_parity(
    molecules_path: str | os.PathLike,
    split_path: str | os.PathLike,
    predictions: dict[str, Sequence[str | os.PathLike]],
    out_png: str | os.PathLike,
    *,
    property_name: str,
    label: str,
    unit: str,
) -> None:
    """Draw predicted against true values on ID and OOD, one panel a model.

    All panels share the limits of the true values; a prediction beyond them is drawn as a triangle on the
    edge and counted. The range of the labels of train and valid is shaded.

    Args:
        molecules_path: the molecules table.
        split_path: the split.
        predictions: by label of the model, the files of its seeds; the first one that exists is shown.
        out_png: the figure.
        property_name: column of the property.
        label: name of the property for people.
        unit: its unit.
    """
    y, fold, _ = read_truth(molecules_path, split_path, property_name)
    seen, shown = y[np.isin(fold, ("train", "valid"))], y[np.isin(fold, ("id", "ood"))]
    margin = 0.04 * np.ptp(shown) or 1.0
    limits = (shown.min() - margin, shown.max() + margin)
    columns = min(5, ceil(sqrt(len(predictions))))
    rows = ceil(len(predictions) / columns)
    with figure(out_png, max(3.2, 2.0 * columns + 0.5), 2.2 * rows + 0.7) as fig:
        fig.get_layout_engine().set(h_pad=0.07)
        axes = fig.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for ax in axes.flat[len(predictions) :]:
            ax.remove()
        for ax, (model, paths) in zip(axes.flat, predictions.items(), strict=False):
            ax.set(xlim=limits, ylim=limits, aspect="equal")
            ax.xaxis.set_major_locator(MaxNLocator(4))
            ax.yaxis.set_major_locator(MaxNLocator(4))
            ax.set_title(textwrap.fill(model, 26), fontweight="bold", pad=14)
            ax.axvspan(seen.min(), seen.max(), color="0.94", lw=0, zorder=0)
            ax.axline((limits[0], limits[0]), slope=1, color="0.35", lw=0.7, zorder=1)
            existing = [path for path in paths if Path(path).is_file()]
            if existing:
                table = read_predictions(existing[0], fold)
                y_pred = np.full(len(y), np.nan)
                y_pred[table["molecule_id"].to_numpy()] = table["y_pred"].to_numpy()
                draw_parity(ax, y, y_pred, fold, limits)
            else:
                ax.text(0.75, 0.2, "no result", transform=ax.transAxes, ha="center", color="0.4")
        for ax in axes.flat[max(0, len(predictions) - columns) : len(predictions)]:
            ax.tick_params(labelbottom=True)
        fig.supxlabel(f"True {label} ({unit})", fontsize=9)
        fig.supylabel(f"Predicted {label} ({unit})", fontsize=9)
        handles = [
            Line2D([], [], marker="o", ls="", ms=5, color=FOLD_COLOURS[name], label=FOLD_LABELS[name])
            for name in ("id", "ood")
        ]
        handles.append(Patch(color="0.9", label="range of train"))
        fig.legend(handles=handles, loc="outside upper center", ncols=3)


def draw_parity(ax: Axes, y: np.ndarray, y_pred: np.ndarray, fold: np.ndarray, limits: tuple[float, float]) -> None:
    """One panel of :func:`plot_parity`."""
    masks = {name: fold == name for name in ("id", "ood")}
    errors = [
        f"{FOLD_LABELS[name]} {format_number(rmse(y[mask], y_pred[mask]) if mask.any() else np.nan)}"
        for name, mask in masks.items()
    ]
    ax.text(0.5, 1.03, f"RMSE  {'   '.join(errors)}", transform=ax.transAxes, ha="center", fontsize=7.5)
    inside = (y_pred >= limits[0]) & (y_pred <= limits[1])
    if (fold == "id").sum() + (fold == "ood").sum() > CROWDED:
        draw_density(ax, *((y[mask & inside], y_pred[mask & inside]) for mask in masks.values()), limits)
    else:
        for name, mask in masks.items():
            chosen = mask & inside
            ax.scatter(y[chosen], y_pred[chosen], s=5, alpha=0.6, lw=0, color=FOLD_COLOURS[name], zorder=2)
    for marker, sign, edge, beyond, place in (
        ("^", "▲", limits[1], y_pred > limits[1], (0.03, 0.97, "left", "top")),
        ("v", "▼", limits[0], y_pred < limits[0], (0.97, 0.05, "right", "bottom")),
    ):
        for name, mask in masks.items():
            x = y[mask & beyond]
            style = {"s": 14, "alpha": 0.7, "lw": 0, "color": FOLD_COLOURS[name]}
            ax.scatter(x, np.full(len(x), edge), marker=marker, clip_on=False, zorder=3, **style)
        count = int((beyond & (masks["id"] | masks["ood"])).sum())
        if count:
            *at, ha, va = place
            style = {"ha": ha, "va": va, "fontsize": 6.5, "color": "0.25"}
            ax.text(*at, f"{sign} {count:,} beyond", transform=ax.transAxes, **style)


def draw_density(
    ax: Axes,
    first: tuple,
    second: tuple,
    limits: tuple[float, float],
    bins: int = 90,
    folds: tuple[str, str] = ("id", "ood"),
) -> None:
    """Two sets of (true, predicted) as one histogram: the hue is the share of the second, the strength the count.

    The sets have the colours of ``folds``.
    """
    edges = np.linspace(*limits, bins + 1)
    counts = [np.histogram2d(*points, bins=(edges, edges))[0].T for points in (first, second)]
    total = counts[0] + counts[1]
    share = counts[1] / np.maximum(total, 1)
    low, high = (np.array(to_rgb(FOLD_COLOURS[name])) for name in folds)
    image = np.empty((bins, bins, 4))
    image[..., :3] = low + share[..., None] * (high - low)
    strength = np.log1p(total) / np.log1p(total.max() or 1)
    image[..., 3] = np.where(total > 0, 0.3 + 0.7 * strength, 0)
    ax.imshow(image, extent=(*limits, *limits), origin="lower", interpolation="nearest", zorder=2)


def plot_distribution(
    molecules_path: str | os.PathLike,
    split_path: str | os.PathLike,
    out_png: str | os.PathLike,
    *,
    property_name: str,
    label: str,
    unit: str,
    scheme: str,
) -> None:
    """Draw the property's histogram by fold, and below it the quantity that the split cuts by.

    Args:
        molecules_path: the molecules table.
        split_path: the split.
        out_png: the figure.
        property_name: column of the property.
        label: name of the property for people.
        unit: its unit.
        scheme: for ``scaffold`` the quantity below is the scaffold's rank, otherwise the density.
    """
    y, fold, density = read_truth(molecules_path, split_path, property_name)
    opacity = 0.5 if scheme == "scaffold" else 1
    with figure(out_png, 6.4, 4.6) as fig:
        top, bottom = fig.subplots(2, 1, sharex=True, height_ratios=[3, 2])
        edges = np.histogram_bin_edges(y, bins=80)
        tallest = 0
        for name in FOLDS:
            chosen, colour = fold == name, FOLD_COLOURS[name]
            counts, _ = np.histogram(y[chosen], edges)
            tallest = max(tallest, counts.max())
            title = f"{FOLD_LABELS[name]} ({chosen.sum():,})"
            if name == "train":
                top.stairs(counts, edges, fill=True, color=colour, alpha=0.7, label=title)
            else:
                top.stairs(counts, edges, color=colour, lw=1.3, label=title)
            heights = density[chosen] + (scheme == "scaffold")
            bottom.scatter(y[chosen], heights, s=3, lw=0, alpha=opacity, color=colour)
        if tallest > 100:
            top.set_yscale("log")
            top.set_ylim(bottom=0.7)
        top.set_ylabel("Molecules")
        top.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        fig.legend(loc="outside upper center", ncols=4)
        bottom.set_yscale("log")
        bottom.set_ylabel("Scaffold rank\n(1 = most common)" if scheme == "scaffold" else f"KDE density\n(per {unit})")
        bottom.set_xlabel(f"{label} ({unit})")
        fig.align_ylabels()


def read_ranked(
    leaderboard_csv: str | os.PathLike, scheme: str, metric: str, labels: dict[str, str], controls: set[str]
) -> tuple[pd.DataFrame, pd.DataFrame, list[str], int]:
    """The ranking, a metric on OOD in its order, the models' labels, and how many are no controls."""
    table = read_summary(leaderboard_csv)
    ranking = overall(table, scheme, controls)
    values = pivot(table, scheme, metric, "ood").reindex(ranking.index)
    names = [labels.get(model, model) for model in ranking.index]
    return ranking, values, names, int((~ranking["control"]).sum())


def label_models(ax: Axes, names: Sequence[str], ranked: int) -> None:
    """Write the models' labels on the y axis, controls in italics below a line."""
    ax.set_yticks(range(len(names)), names)
    for text in ax.get_yticklabels()[ranked:]:
        text.set_style("italic")
    if 0 < ranked < len(names):
        ax.axhline(ranked - 0.5, color="0.2", lw=0.8, zorder=4)


def short_number(value: float) -> str:
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
    labels: dict[str, str],
    controls: set[str],
) -> None:
    """Draw the normalised OOD RMSE, models by tasks; white is the floor, blue better, red worse.

    Args:
        leaderboard_csv: what :func:`boomlib.evaluation.summary.write_summary` wrote.
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
    with figure(out_png, 0.075 * max(map(len, names)) + column * len(tasks) + 1.1, 0.24 * len(names) + 0.7) as fig:
        ax = fig.subplots()
        ax.set_aspect("auto")
        image = ax.imshow(
            np.ma.masked_invalid(np.where(cells == 0, norm.vmin, cells)),
            cmap="RdBu_r",
            norm=norm,
            aspect="auto",
        )
        for (row, col), value in np.ndenumerate(cells):
            if isnan(value):
                corner = (col - 0.5, row - 0.5)
                ax.add_patch(Rectangle(corner, 1, 1, fc="0.93", ec="0.75", hatch="////", lw=0))
            dark = value == 0 or abs(np.log10(value)) > 0.55 * decades
            ax.text(
                col,
                row,
                short_number(value),
                ha="center",
                va="center",
                fontsize=7,
                color="w" if dark else "0.1",
            )
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


def plot_ratio(
    leaderboard_csv: str | os.PathLike,
    out_png: str | os.PathLike,
    *,
    scheme: str,
    labels: dict[str, str],
    controls: set[str],
) -> None:
    """Draw the RMSE on OOD over that on ID, one point a model and task; right of 1 OOD is harder.

    A black bar is the mean over tasks of a model that has them all; one that lacks some says so. Arguments are those
    of :func:`plot_heatmap`.
    """
    ranking, values, names, ranked = read_ranked(leaderboard_csv, scheme, "ood_id_ratio", labels, controls)
    cells = values.to_numpy()
    tasks = [f"{dataset}/{name}" for dataset, name in values.columns]
    shown = np.append(cells[np.isfinite(cells)], 1)
    with figure(out_png, 7, (0.22 + 0.015 * len(tasks)) * len(names) + 0.8) as fig:
        ax = fig.subplots()
        offsets = np.linspace(-0.28, 0.28, len(tasks)) if len(tasks) > 1 else np.zeros(1)
        for row in range(0, len(names), 2):
            ax.axhspan(row - 0.5, row + 0.5, color="0.96", lw=0, zorder=0)
        ax.axvline(1, color="0.35", lw=0.8, zorder=1)
        for index, task in enumerate(tasks):
            colour = TASK_COLOURS[index % len(TASK_COLOURS)]
            marker = TASK_MARKERS[(index + index // len(TASK_COLOURS)) % len(TASK_MARKERS)]
            at = np.arange(len(names)) + offsets[index]
            ax.scatter(cells[:, index], at, s=16, lw=0, color=colour, marker=marker, label=task, zorder=3)
        ax.scatter(
            ranking["ood_id_ratio"],
            range(len(names)),
            marker="|",
            s=110,
            lw=1.6,
            color="k",
            label="mean",
            zorder=2,
        )
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
