"""Columns of a file from outside, with the line or row on which each value stands."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from boomlib.datasets.delimited import ColumnError, read_delimited
from boomlib.datasets.formats import read_source

Counts = Literal[
    "line", "row"
]  # of a text file lines, as an editor counts them; of Parquet rows, of which the first is 1


@dataclass(frozen=True)
class Columns:
    """Some columns of a file.

    Attributes:
        values: by name, what stands there, None where empty; [n] each.
        numbers: where each row stands, [n].
        counts: what ``numbers`` count.
    """

    values: dict[str, list[Any]]
    numbers: list[int]
    counts: Counts


def read_columns(path: str | os.PathLike, columns: Sequence[str], separator: str | None = None) -> Columns:
    """Read ``columns`` of a delimited text file (as text) or of Parquet.

    Args:
        path: the file; its name says which of both it is, and whether it is packed.
        columns: their names.
        separator: of the columns of text; None: the one that the header shows.

    Raises:
        ColumnError: a column is not there once.
        ContractError: the file is not readable.
    """
    columns = list(dict.fromkeys(columns))
    source = read_source(path)
    if not isinstance(source, pa.Table):
        lines, values = read_delimited(path, source, columns, separator)
        return Columns({column: values[column.strip()] for column in columns}, lines, "line")
    names = source.column_names
    for column in columns:
        if names.count(column) != 1:
            problem = "more than one column" if column in names else "no column"
            raise ColumnError(f"{path}: {problem} '{column}' (it has: {', '.join(names)})")
    return Columns(
        {column: source[column].to_pylist() for column in columns}, list(range(1, source.num_rows + 1)), "row"
    )
