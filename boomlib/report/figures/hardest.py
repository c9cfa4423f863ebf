"""The figure of the molecules that most models get wrong: their structures, numbered as in the table."""

import io
import os

import matplotlib.image
import numpy as np
from matplotlib.axes import Axes
from rdkit import Chem
from rdkit.Chem.Draw import rdMolDraw2D

from boomlib.files import read_json
from boomlib.report.figures.style import FOLD_COLOURS, FOLD_LABELS, open_figure
from boomlib.report.numbers import format_number

COLUMNS = 5
WIDTH, HEIGHT = 2.0, 1.5  # of a structure, inches
RESOLUTION = 300  # pixels an inch


def plot_hardest(hardest_json: str | os.PathLike, out_png: str | os.PathLike) -> None:
    """Draw the structures of what :func:`boomlib.evaluation.hardest.find_hardest` wrote, with label and prediction."""
    molecules = read_json(hardest_json)["molecules"]
    rows = max(1, -(-len(molecules) // COLUMNS))
    with open_figure(out_png, WIDTH * COLUMNS + 0.3, (HEIGHT + 0.5) * rows) as fig:
        axes = fig.subplots(rows, COLUMNS, squeeze=False)
        for ax in axes.flat:
            ax.set_axis_off()
        for number, (ax, molecule) in enumerate(zip(axes.flat, molecules, strict=False), start=1):
            draw_molecule(ax, number, molecule)
        if not molecules:
            axes.flat[0].text(0, 0.5, "no molecule is missed by most models by their RMSE")


def draw_molecule(ax: Axes, number: int, molecule: dict) -> None:
    """One panel of :func:`plot_hardest`."""
    ax.imshow(draw_structure(molecule["smiles"]))
    ax.set_axis_off()
    doubt = ", suspect label" if molecule["doubted"] else ""
    ax.set_title(
        f"{number}. {FOLD_LABELS[molecule['fold']]}{doubt}\n"
        f"label {format_number(molecule['label'])}, predicted {format_number(molecule['median'])}",
        color=FOLD_COLOURS[molecule["fold"]],
        fontweight="bold" if doubt else "normal",
    )


def draw_structure(smiles: str) -> np.ndarray:
    """The structure of a molecule, of all its components, as an image [height, width, 4]."""
    drawer = rdMolDraw2D.MolDraw2DCairo(round(WIDTH * RESOLUTION), round(HEIGHT * RESOLUTION))
    rdMolDraw2D.PrepareAndDrawMolecule(drawer, Chem.MolFromSmiles(smiles))
    drawer.FinishDrawing()
    return matplotlib.image.imread(io.BytesIO(drawer.GetDrawingText()), format="png")
