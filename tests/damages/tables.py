"""A good table of a user's, the configuration that names it, and a damaged variant of both with what becomes of it."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
from conftest import make_molecules

HEADER = ("name", "SMILES", "y", "note")
NAME, SMILES, LABEL, NOTE = range(4)  # columns; those of names and notes are read by nobody
FILE, CONFIG_FILE = "own.csv", "own.yaml"

Item = TypeVar("Item")


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes:
        header: names of the columns.
        rows: their cells.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def write(self, separator: str = ",", newline: str = "\n", quoting: int = csv.QUOTE_MINIMAL) -> str:
        """The table as text."""
        stream = io.StringIO(newline="")
        writer = csv.writer(stream, delimiter=separator, lineterminator=newline, quoting=quoting)
        writer.writerows([self.header, *self.rows])
        return stream.getvalue()

    def lines(self, **style: Any) -> list[str]:
        """The lines of the text, the header's first, without their ends."""
        return self.write(**style).split("\n")[:-1]

    def with_cells(self, column: int, cells: Mapping[int, str]) -> "Table":
        """The table with other cells in a column, by row."""
        rows = list(self.rows)
        for i, text in cells.items():
            rows[i] = (*rows[i][:column], text, *rows[i][column + 1 :])
        return replace(self, rows=tuple(rows))

    def without(self, rows: Iterable[int]) -> "Table":
        """The table without some rows."""
        gone = set(rows)
        return replace(self, rows=tuple(row for i, row in enumerate(self.rows) if i not in gone))


def make_table(n: int = 96) -> Table:
    """``n`` simple molecules with a label that is nearly linear in their composition."""
    frame = make_molecules(n)
    rows = enumerate(zip(frame["smiles"], frame["size"], strict=True))
    return Table(HEADER, tuple((f"m{i}", smiles, f"{y:.4f}", f"run {i % 7}") for i, (smiles, y) in rows))


def make_config(name: str = "y", properties: Mapping[str, str] | None = None, **keys: object) -> str:
    """A configuration of one task of ridge on a table; of ``keys`` of the dataset's entry each stands on a line.

    Args:
        name: the property.
        properties: further keys of it, or others.
        keys: further keys of the entry, or others.
    """
    described = {"unit": "kcal/mol", "kind": "extensive"} | dict(properties or {})
    entry = {"reader": "table", "label": "Own", "file": FILE, "smiles_column": "SMILES"} | keys
    return "\n".join(
        [
            f"tasks: [own/{name}]",
            "models: [ridge]",
            "datasets:",
            "  own:",
            *(f"    {key}: {json.dumps(value)}" for key, value in entry.items()),
            "    properties:",
            f"      {json.dumps(name)}: {json.dumps(described)}",
            "",
        ]
    )


@dataclass(frozen=True)
class Same:
    """What comes out is what comes out of the good table: molecules, labels, folds and predictions.

    Attributes:
        rejects: the lines that ``rejects.csv`` names, and no others, each with a pattern in its reason.
        gone: rows of the good table that count no longer.
        scale: labels and predictions are so many times those of the good table.
        ordered: whether rows stand as in the good table; if not, ID and valid are drawn otherwise, so that molecules,
            labels and OOD are compared alone.
        tolerance: relative, of labels and predictions.
    """

    rejects: Mapping[int, str] = field(default_factory=dict)
    gone: frozenset[int] = frozenset()
    scale: float = 1.0
    ordered: bool = True
    tolerance: float = 1e-9


@dataclass(frozen=True)
class Refused:
    """A :class:`ContractError` whose message holds the place and the remedy."""

    place: str
    remedy: str


@dataclass(frozen=True)
class Variant:
    """A damaged table and its configuration.

    Attributes:
        outcome: what is to become of it, declared beforehand.
        data: the table, as text (UTF-8) or bytes.
        config: the configuration, likewise.
        file: the table's name.
        date: of the table's last change, in seconds; None: now.
    """

    outcome: Same | Refused
    data: str | bytes
    config: str | bytes = make_config()
    file: str = FILE
    date: float | None = None


def line_of(row: int) -> int:
    """The line of a row of the good table."""
    return row + 2


def at_line(line: int, file: str = FILE) -> str:
    """How a message names a line."""
    return f"{file}, line {line}:"


def pick(random: np.random.Generator, items: Sequence[Item]) -> Item:
    """One of some things."""
    return items[random.integers(len(items))]


def pick_rows(random: np.random.Generator, table: Table, most: int = 5) -> list[int]:
    """At least one and at most so many rows, in order."""
    return sorted(random.choice(len(table.rows), size=random.integers(1, most + 1), replace=False).tolist())
