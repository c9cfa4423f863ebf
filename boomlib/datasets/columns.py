"""Columns of a file from outside, with the line or row on which each value stands."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from boomlib.datasets.delimited import ColumnError, read_delimited
from boomlib.datasets.formats import read_source
from boomlib.files import ContractError

Counts = Literal[
    "line", "row"
]  # of a text file lines, as an editor counts them; of Parquet rows, of which the first is 1

UNREADABLE = (pa.ArrowException, ValueError, OverflowError)  # of a value of Parquet: bad bytes, a date beyond years


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
    try:
        names = source.column_names
    except UnicodeDecodeError as error:
        raise ContractError(f"{path}: the name of a column is no UTF-8 ({error}); write the file anew") from error
    for column in columns:
        if names.count(column) != 1:
            problem = "more than one column" if column in names else "no column"
            raise ColumnError(f"{path}: {problem} '{column}' (it has: {', '.join(names)})")
    values = {column: read_values(path, column, source[column]) for column in columns}
    return Columns(values, list(range(1, source.num_rows + 1)), "row")


def read_values(path: str | os.PathLike, name: str, column: pa.ChunkedArray, first: int = 1) -> list[Any]:
    """The values of a column of Parquet from row ``first`` on; bytes, as some programs store text, as text.

    Raises:
        ContractError: a value cannot be read; the message names its row.
    """
    try:
        return [as_text(value) for value in column.to_pylist()]
    except UNREADABLE:
        for row, value in enumerate(column, first):
            try:
                as_text(value.as_py())
            except UNREADABLE as error:
                raise ContractError(
                    f"{path}, row {row}: column '{name}' has a value that cannot be read ({error}); write the column "
                    "anew, as text in UTF-8 or as numbers"
                ) from error
        raise


def as_text(value: Any) -> Any:
    """``value``, or if it is bytes the text that they are in UTF-8."""
    return value.decode() if isinstance(value, bytes) else value
