"""The molecules that most models get wrong, by task."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from boomlib.files import read_json
from boomlib.report.figures.catalogue import CataloguedFigure
from boomlib.report.numbers import format_interval, format_number
from boomlib.report.tables.markdown import format_code, format_table
from boomlib.report.tables.ranked import RankedModels

COLUMNS = ("", "Molecule", "SMILES", "Mark", "Fold", "Label", "Median prediction", "Range", "Error / RMSE")
LONGEST = 80


def list_hardest(results_dir: Path, ranked: RankedModels, figures: Iterable[CataloguedFigure]) -> list[dict[str, Any]]:
    """Of each task of a scheme its title, how many labels are suspect, the table, and the figure or None.

    A task of which :func:`boomlib.evaluation.hardest.find_hardest` has written nothing is left out.
    """
    drawn = {figure.path: figure for figure in figures}
    listed = []
    for task, title in ranked.titles.items():
        place = "/".join([*task, ranked.scheme])
        path = results_dir / f"hardest/{place}.json"
        molecules = read_json(path)["molecules"] if path.is_file() else []
        if molecules:
            suspect = sum(molecule["doubted"] for molecule in molecules)
            table, figure = tabulate_molecules(molecules), drawn.get(f"plots/hardest/{place}.png")
            listed.append({"title": title, "suspect": suspect, "table": table, "figure": figure})
    return listed


def tabulate_molecules(molecules: Iterable[dict[str, Any]]) -> str:
    """One row a molecule, the hardest first, numbered as in the figure."""
    rows = [
        [
            str(number),
            molecule["name"],
            format_code(shorten(molecule["smiles"])),
            "**suspect label**" if molecule["doubted"] else "",
            molecule["fold"].upper(),
            *(format_number(molecule[key]) for key in ("label", "median")),
            format_interval(molecule["low"], molecule["high"]),
            format_number(molecule["scaled_error"]),
        ]
        for number, molecule in enumerate(molecules, start=1)
    ]
    return format_table(COLUMNS, rows, text_columns=5)


def shorten(smiles: str) -> str:
    """A SMILES, or the beginning of a long one."""
    return smiles if len(smiles) <= LONGEST else smiles[: LONGEST - 1] + "…"
