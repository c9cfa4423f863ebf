"""The figure of predicted against true values of one task, a panel a model."""

import os
import textwrap
from collections.abc import Mapping, Sequence
from math import ceil, sqrt
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from boomlib.contracts import read_predictions, read_truth
from boomlib.evaluation.metrics import rmse
from boomlib.report.figures.density import CROWDED, draw_density
from boomlib.report.figures.style import FOLD_COLOURS, FOLD_LABELS, open_figure
from boomlib.report.numbers import format_number


def plot_parity(
    molecules_path: str | os.PathLike,
    split_path: str | os.PathLike,
    predictions: Mapping[str, Sequence[str | os.PathLike]],
    out_png: str | os.PathLike,
    *,
    labels: Mapping[str, str],
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
        predictions: by model, the files of its seeds; the first one that exists is shown.
        out_png: the figure.
        labels: name for people, by model.
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
    with open_figure(out_png, max(3.2, 2.0 * columns + 0.5), 2.2 * rows + 0.7) as fig:
        fig.get_layout_engine().set(h_pad=0.07)
        axes = fig.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for ax in axes.flat[len(predictions) :]:
            ax.remove()
        for ax, (model, paths) in zip(axes.flat, predictions.items(), strict=False):
            prepare_panel(ax, labels[model], seen, limits)
            y_pred = read_first(paths, fold)
            if y_pred is None:
                ax.text(0.75, 0.2, "no result", transform=ax.transAxes, ha="center", color="0.4")
            else:
                draw_parity(ax, y, y_pred, fold, limits)
        for ax in axes.flat[max(0, len(predictions) - columns) : len(predictions)]:
            ax.tick_params(labelbottom=True)
        fig.supxlabel(f"True {label} ({unit})", fontsize=9)
        fig.supylabel(f"Predicted {label} ({unit})", fontsize=9)
        draw_legend(fig)


def prepare_panel(ax: Axes, title: str, seen: np.ndarray, limits: tuple[float, float]) -> None:
    """Title, limits, diagonal and the range of the labels ``seen`` in training."""
    ax.set(xlim=limits, ylim=limits, aspect="equal")
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.yaxis.set_major_locator(MaxNLocator(4))
    ax.set_title(textwrap.fill(title, 26), fontweight="bold", pad=14)
    ax.axvspan(seen.min(), seen.max(), color="0.94", lw=0, zorder=0)
    ax.axline((limits[0], limits[0]), slope=1, color="0.35", lw=0.7, zorder=1)


def read_first(paths: Sequence[str | os.PathLike], fold: np.ndarray) -> np.ndarray | None:
    """Predictions of the first file that exists, float64 [n], NaN where it has none; None without any file."""
    existing = [path for path in paths if Path(path).is_file()]
    if not existing:
        return None
    table = read_predictions(existing[0], fold)
    y_pred = np.full(len(fold), np.nan)
    y_pred[table["molecule_id"].to_numpy()] = table["y_pred"].to_numpy()
    return y_pred


def draw_legend(fig: Figure) -> None:
    """The folds and the shaded range, above all panels."""
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
