"""What all figures share: colours, type, and how they are saved. The same files make the same PNG, byte for byte."""

import contextlib
import os
from collections.abc import Iterator

import matplotlib.style
from matplotlib.figure import Figure

from boomlib.files import atomic_path, commit

# Okabe and Ito's palette, which people with any colour vision tell apart
FOLD_COLOURS = {"train": "#C4C4C4", "valid": "#7A7A7A", "id": "#0072B2", "ood": "#D55E00"}
FOLD_LABELS = {"train": "train", "valid": "valid", "id": "ID", "ood": "OOD"}
TASK_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
TASK_MARKERS = "osD^vPX"
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
def open_figure(out_png: str | os.PathLike, width: float, height: float) -> Iterator[Figure]:
    """A figure of ``width`` by ``height`` inches, saved to ``out_png`` when the block ends."""
    with matplotlib.style.context(["default", STYLE]):
        made = Figure(figsize=(width, height), layout="constrained")
        yield made
        made.savefig(atomic_path(out_png), format="png", dpi=150, metadata={"Software": None})
    commit(out_png)
