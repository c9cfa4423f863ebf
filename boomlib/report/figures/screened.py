"""The figures of one model in a screen: its predictions over train's labels, and the molecules at either end."""

import os
from collections.abc import Mapping

import numpy as np
import pyarrow.parquet as pq
from matplotlib.ticker import FuncFormatter

from boomlib.contracts import read_truth
from boomlib.files import read_json
from boomlib.report.figures.hardest import COLUMNS, HEIGHT, WIDTH, draw_structure
from boomlib.report.figures.style import FOLD_COLOURS, TASK_COLOURS, open_figure
from boomlib.report.numbers import format_number

BINS = 80


def plot_screen(
    molecules_path: str | os.PathLike,
    split_path: str | os.PathLike,
    predicted_path: str | os.PathLike,
    summary_path: str | os.PathLike,
    distribution_png: str | os.PathLike,
    extremes_png: str | os.PathLike,
    *,
    key: Mapping[str, str],
    label: str,
) -> None:
    """Draw both figures.

    Args:
        molecules_path: the molecules table of the dataset.
        split_path: the split.
        predicted_path: the screen's Parquet file.
        summary_path: its summary, see :meth:`boomlib.screening.summary.Summary.to_json`.
        distribution_png, extremes_png: the figures.
        key: ``dataset``, ``property``, ``scheme`` and ``model``.
        label: name of the property for people.
    """
    predictor = next(
        each for each in read_json(summary_path)["predictors"] if all(each[name] == key[name] for name in key)
    )
    y, fold, _ = read_truth(molecules_path, split_path, key["property"])
    column = predictor["column"]
    predicted = pq.read_table(predicted_path, columns=[column])[column].drop_null().to_numpy()
    plot_distribution(y[fold == "train"], predicted, distribution_png, f"{label} ({predictor['unit']})")
    plot_extremes(predictor, extremes_png)


def plot_distribution(train: np.ndarray, predicted: np.ndarray, out_png: str | os.PathLike, title: str) -> None:
    """Draw histograms, as shares, of predictions and of train's labels, float64 [n] each, in one unit.

    Predictions that are further outside train's range than it is wide count in the outermost bins, lest one of them
    squeeze all others.
    """
    width = float(np.ptp(train)) or 1.0
    predicted = np.clip(predicted, train.min() - width, train.max() + width)
    with open_figure(out_png, 6.4, 3.0) as fig:
        ax = fig.subplots()
        edges = np.histogram_bin_edges(np.concatenate([train, predicted]), bins=BINS)
        shares = (np.histogram(values, edges)[0] / max(1, len(values)) for values in (train, predicted))
        ax.stairs(
            next(shares), edges, fill=True, color=FOLD_COLOURS["train"], alpha=0.7, label=f"train ({len(train):,})"
        )
        ax.stairs(next(shares), edges, color=TASK_COLOURS[0], lw=1.3, label=f"predicted ({len(predicted):,})")
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.3g} %"))
        ax.set_ylabel("Share of molecules")
        ax.set_xlabel(title)
        fig.legend(loc="outside upper center", ncols=2)


def plot_extremes(predictor: Mapping, out_png: str | os.PathLike) -> None:
    """Draw the structures of the molecules with the highest predictions, and below them those with the lowest."""
    ends = [predictor["highest"], predictor["lowest"]]
    rows = [max(1, -(-len(molecules) // COLUMNS)) for molecules in ends]
    with open_figure(out_png, WIDTH * COLUMNS + 0.3, (HEIGHT + 0.5) * sum(rows)) as fig:
        axes = fig.subplots(sum(rows), COLUMNS, squeeze=False)
        for ax in axes.flat:
            ax.set_axis_off()
        for molecules, part, word in zip(ends, np.split(axes, rows[:1]), ("highest", "lowest"), strict=True):
            for number, (ax, molecule) in enumerate(zip(part.flat, molecules, strict=False), start=1):
                ax.imshow(draw_structure(molecule["smiles"].strip()))
                flagged = "\nflagged: " + molecule["flags"] if molecule["flags"] else ""
                ax.set_title(f"{word} {number}: {format_number(molecule['predicted'])}{flagged}")
