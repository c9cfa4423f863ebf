"""The figure of one split: the property's histogram by fold, and the quantity that the split cuts by."""

import importlib
import os

import numpy as np
from matplotlib.ticker import FuncFormatter

from boomlib.contracts import FOLDS, NO_FOLD, read_truth
from boomlib.report.figures.style import FOLD_COLOURS, FOLD_LABELS, open_figure


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

    A quantity of whole numbers is a rank, which many molecules share: it is drawn from 1 on, for the axis is
    logarithmic, and half transparent.

    Args:
        molecules_path: the molecules table.
        split_path: the split.
        out_png: the figure.
        property_name: column of the property.
        label: name of the property for people.
        unit: its unit.
        scheme: the scheme, whose module names the quantity.
    """
    y, fold, quantity = read_truth(molecules_path, split_path, property_name)
    known = fold != NO_FOLD
    y, fold, quantity = y[known], fold[known], quantity[known]
    title = importlib.import_module(f"boomlib.splits.{scheme}").QUANTITY.format(unit=unit)
    ranked = bool((quantity == np.rint(quantity)).all())
    heights, opacity = (quantity + 1, 0.5) if ranked else (quantity, 1)
    with open_figure(out_png, 6.4, 4.6) as fig:
        top, bottom = fig.subplots(2, 1, sharex=True, height_ratios=[3, 2])
        edges = np.histogram_bin_edges(y, bins=80)
        tallest = 0
        for name in FOLDS:
            chosen, colour = fold == name, FOLD_COLOURS[name]
            counts, _ = np.histogram(y[chosen], edges)
            tallest = max(tallest, counts.max())
            size = f"{FOLD_LABELS[name]} ({chosen.sum():,})"
            if name == "train":
                top.stairs(counts, edges, fill=True, color=colour, alpha=0.7, label=size)
            else:
                top.stairs(counts, edges, color=colour, lw=1.3, label=size)
            bottom.scatter(y[chosen], heights[chosen], s=3, lw=0, alpha=opacity, color=colour)
        if tallest > 100:
            top.set_yscale("log")
            top.set_ylim(bottom=0.7)
        top.set_ylabel("Molecules")
        top.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        fig.legend(loc="outside upper center", ncols=4)
        bottom.set_yscale("log")
        bottom.set_ylabel(title)
        bottom.set_xlabel(f"{label} ({unit})")
        fig.align_ylabels()
