"""Files of predictions that others have made: read and checked. Nothing of theirs is run: it is text or Parquet."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from boomlib.contracts import listed, shorten
from boomlib.datasets.columns import Columns, read_columns
from boomlib.datasets.delimited import ColumnError, decode, find_separator, read_names
from boomlib.datasets.formats import read_source
from boomlib.datasets.labels import LARGEST, as_number
from boomlib.datasets.rows import why_no_molecule
from boomlib.files import ContractError, MoleculeError, StrPath
from boomlib.harness.interface import Molecules, Prediction
from boomlib.smiles import identify

KEYS = ("molecule_id", "smiles")  # by which a file may name molecules; of both the first counts
ID = re.compile(r"(\d+)(\.0)?")  # some programs write whole numbers with a point
FORMAT = "a file of predictions has the columns molecule_id or smiles, y_pred and, if you like, y_std"


def list_columns(path: StrPath) -> list[str]:
    """The names of the columns of a delimited text file or of Parquet."""
    source = read_source(path)
    if isinstance(source, bytes):
        text = decode(path, source)
        return read_names(path, text, find_separator(path, text, ["y_pred"]))
    names: list[str] = source.column_names
    return names


def read_rows(path: StrPath) -> Columns:
    """The columns of a file of predictions: one of :data:`KEYS`, ``y_pred`` and, if there is one, ``y_std``.

    Raises:
        ContractError: the file is not readable, or lacks a column or has it twice.
    """
    names = list_columns(path)
    key = next((each for each in KEYS if each in names), KEYS[1])
    try:
        return read_columns(path, [key, "y_pred", *(["y_std"] if "y_std" in names else [])])
    except ColumnError as error:
        raise ContractError(f"{error}; {FORMAT}") from error


def match_ids(values: Sequence[Any], molecules: Molecules) -> list[int | None]:
    """The position of the molecule with each id; None of what is no id of one."""
    known = {molecule: place for place, molecule in enumerate(molecules.molecule_id.tolist())}
    read = (ID.fullmatch(str(value).strip()) for value in values)
    return [known.get(int(found[1])) if found else None for found in read]


def match_smiles(values: Sequence[Any], molecules: Molecules) -> list[int | None]:
    """The position of the molecule with each SMILES; None of what is no SMILES of one.

    A text as it stands among the molecules is that molecule. Any other is the molecule of which it is a spelling; of
    none, if two of the molecules are one in two spellings, as some sources have them.
    """
    written = {text: place for place, text in enumerate(molecules.smiles)}
    texts = [str(value or "").strip() for value in values]
    places = [written.get(text) for text in texts]
    if None in places:
        spelled: dict[str, list[int]] = {}
        for text, place in written.items():
            spelled.setdefault(identify(text), []).append(place)
        for row, text in enumerate(texts):
            if places[row] is None and why_no_molecule(text) is None:
                same = spelled.get(identify(text), [])
                places[row] = same[0] if len(same) == 1 else None
    return places


def refuse(path: StrPath, rows: Columns, problem: str, wrong: dict[int, Any], remedy: str) -> None:
    """Raise :class:`ContractError` if there are ``wrong`` rows: what stands there, by their index."""
    if wrong:
        told = {row: "empty" if value is None else shorten(str(value)) for row, value in wrong.items()}
        places = [f"{rows.counts} {rows.numbers[row]} ({text})" for row, text in told.items()]
        raise ContractError(
            f"{path}, {listed(places)}: {problem} in {len(wrong)} row{'s' * (len(wrong) > 1)}; {remedy}"
        )


def read_external(path: StrPath, molecules: Molecules) -> Prediction:
    """What a file of predictions says of molecules, in their order.

    Args:
        path: delimited text or Parquet with ``molecule_id`` or ``smiles``, in any spelling, ``y_pred`` in the
            property's unit and perhaps ``y_std``; other columns do not count.
        molecules: those that the file must have, once each, and no others; of valid's the labels are known.

    Raises:
        ContractError: rows are of no such molecule, or of one that has another row; or a value is no finite number, or
            a standard deviation less than 0. The message names the first five.
        MoleculeError: molecules are missing.
    """
    rows = read_rows(path)
    key, *columns = rows.values
    named = rows.values[key]
    places = (match_ids if key == KEYS[0] else match_smiles)(named, molecules)
    refuse(
        path,
        rows,
        f"{key} of no molecule of valid, id or ood",
        {row: named[row] for row, place in enumerate(places) if place is None},
        f"take each {key} from the task table as it stands there, and leave out the molecules of train",
    )
    first: dict[int | None, int] = {}
    doubled = {row: named[row] for row, place in enumerate(places) if first.setdefault(place, row) != row}
    refuse(path, rows, "a molecule that another row has before", doubled, "give each molecule one row")
    missing = [place for place in range(len(molecules)) if place not in first]
    if missing:
        valid = int(np.isfinite(molecules.y[missing]).sum())
        raise MoleculeError(
            f"{path}: {len(missing)} molecules are missing, {valid} of them of valid; every model predicts each "
            "molecule of valid (to which intervals and committees are fitted), id and ood, so add them",
            molecules.smiles[missing],
        )
    values = {name: read_numbers(path, rows, name) for name in columns}
    if "y_std" in values:
        negative = {row: values["y_std"][row] for row in np.flatnonzero(values["y_std"] < 0).tolist()}
        refuse(path, rows, "y_std less than 0", negative, "give standard deviations, or leave the column out")
    order = [first[place] for place in range(len(molecules))]
    return Prediction(values["y_pred"][order], values["y_std"][order] if "y_std" in values else None)


def read_numbers(path: StrPath, rows: Columns, name: str) -> np.ndarray:
    """A column as float64 [rows]; raises :class:`ContractError` if a value is no finite number, or an absurd one."""
    numbers = [as_number(value) for value in rows.values[name]]
    huge = {row: rows.values[name][row] for row, number in enumerate(numbers) if number and abs(number) > LARGEST}
    refuse(path, rows, f"{name} beyond ±{LARGEST:g}, as no label may be", huge, "mend what has diverged")
    bad = {row: rows.values[name][row] for row, number in enumerate(numbers) if number is None}
    refuse(path, rows, f"{name} is no finite number", bad, "write numbers with a decimal point")
    return np.array(numbers, dtype=np.float64)
