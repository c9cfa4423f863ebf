"""A file of molecules of any size, read in parts with all of its columns: delimited text, Parquet, or SMILES alone."""

import codecs
import csv
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from boomlib.datasets.columns import Counts, read_values
from boomlib.datasets.delimited import DECLARED, MARKS, SEPARATORS, decode, name_separator, read_names
from boomlib.datasets.formats import COMPRESSIONS, PARQUET, describe, recognise
from boomlib.datasets.rows import why_no_molecule
from boomlib.files import ContractError

BUFFER = 2**20  # bytes of a column of Parquet that are read at once, in place of all of a group of rows
CELL = 2**26  # characters of a cell at most: a quotation mark that is never closed brings no whole file into memory
PART = 1000  # rows that are looked at at once
HEAD = 2**16  # bytes by which a file is told: its encoding, separator and columns
SMILES = "smiles"  # the column where none is named, in small or capital letters


@dataclass(frozen=True)
class MoleculeFile:
    """A file with a row a molecule.

    Rows without any text are none. A file without a column of SMILES whose first line begins with one has a molecule a
    line, and where that line has more behind a blank or tab, names behind each (as ``.smi`` files have).

    Attributes:
        path: the file.
        column: the name of the column of SMILES; None: :data:`SMILES`.
    """

    path: Path
    column: str | None = None

    @cached_property
    def is_parquet(self) -> bool:
        """Whether it is Parquet, by its name.

        Raises:
            ContractError: there is no such file, or its bytes are of another format than its name says.
        """
        try:
            with self.path.open("rb") as stream:
                found = recognise(stream.read(HEAD))
        except OSError as error:
            raise ContractError(f"{self.path}: not readable ({error.strerror}); correct the path") from error
        suffix = self.path.suffix.lower()
        wanted = "Parquet" if suffix in PARQUET else COMPRESSIONS.get(suffix, "text")
        if found != wanted:
            raise ContractError(f"{self.path}: its bytes are {describe(found, self.path.name)}")
        return found == "Parquet"

    @cached_property
    def head(self) -> tuple[str, str]:
        """The encoding of a text file, and its beginning."""
        with self.open_bytes() as stream:
            data = stream.read(HEAD)
        encoding = next((name for mark, name in MARKS.items() if data.startswith(mark)), "utf-8")
        if encoding.startswith("utf-8"):
            end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
            return encoding, decode(self.path, data[:end] if end and len(data) == HEAD else data)
        return encoding, codecs.getincrementaldecoder(encoding)().decode(data)

    @cached_property
    def separator(self) -> str | None:
        """What separates columns; None in a file of SMILES alone."""
        from rdkit import RDLogger

        RDLogger.DisableLog("rdApp.*")  # a name is no SMILES
        text = self.head[1]
        if declared := DECLARED.match(text):
            return declared[1]
        for separator in (*SEPARATORS, " "):
            if any(map(self.is_smiles, read_names(self.path, text, separator))):
                return separator
        first = text.split(maxsplit=1)[:1]
        if not self.column and (not first or why_no_molecule(first[0]) is None):
            return None
        return max(SEPARATORS, key=lambda each: len(read_names(self.path, text, each)))

    @cached_property
    def names(self) -> list[str]:
        """The columns, in order.

        Raises:
            ContractError: there is none of SMILES, or a name is there twice.
        """
        if self.is_parquet:
            names = pq.read_schema(self.path).names
        elif self.separator is None:
            line = io.StringIO(self.head[1], newline=None).readline()
            return [SMILES, "name"][: max(1, len(line.split(maxsplit=1)))]
        else:
            names = [cell.strip() for cell in next(self.read_records(), (0, []))[1]]
        for name in names:
            if names.count(name) > 1:
                raise ContractError(f"{self.path}: more than one column '{name}'; rename them")
        return names

    @cached_property
    def smiles(self) -> str:
        """The column of SMILES.

        Raises:
            ContractError: there is none.
        """
        found = next(filter(self.is_smiles, self.names), None)
        if found is None:
            raise ContractError(
                f"{self.path}: no column '{self.column or SMILES}' (it has: {', '.join(self.names)}); name the column "
                "of SMILES with --smiles-column, or `smiles_column` of a screen; if the file has SMILES alone, its "
                "first line has to be one, and is not"
            )
        return found

    def is_smiles(self, name: str) -> bool:
        """Whether the column of SMILES has this name."""
        return name == self.column if self.column else name.lower() == SMILES

    @cached_property
    def schema(self) -> pa.Schema:
        """Names and types of the columns; those of a text file are text."""
        return (
            pq.read_schema(self.path) if self.is_parquet else pa.schema([(name, pa.string()) for name in self.names])
        )

    def count(self) -> int:
        """Rows, of which each is looked at.

        Raises:
            ContractError: there is no column of SMILES, or a row cannot be read; the message names its line or row.
        """
        smiles, n = self.smiles, 0
        if not self.is_parquet:
            return sum(1 for _ in self.read_rows())
        # all others can be read
        columns = [each.name for each in self.schema if each.name == smiles or not is_number(each.type)]
        for numbers, part in self.read_parts(PART, columns):
            for name in columns:
                read_values(self.path, name, part[name], numbers[0])
            n += len(part)
        return n

    @property
    def counts(self) -> Counts:
        """By what a row is found in the file."""
        return "row" if self.is_parquet else "line"

    def read_parts(self, rows: int, columns: Sequence[str] | None = None) -> Iterator[tuple[list[int], pa.Table]]:
        """The file, some rows at a time, in order, with the numbers of these rows (``counts``).

        Args:
            rows: how many at a time.
            columns: of Parquet those that are read; None: all. Of text all are.
        """
        if self.is_parquet:
            with pq.ParquetFile(self.path, buffer_size=BUFFER) as file:
                first = 1
                for batch in file.iter_batches(rows, columns=columns):
                    yield list(range(first, first + len(batch))), pa.Table.from_batches([batch])
                    first += len(batch)
            return
        left = self.read_rows()
        while part := list(islice(left, rows)):
            cells = zip(*(row for _, row in part), strict=True)
            arrays = [pa.array(column, pa.string()) for column in cells]
            yield [line for line, _ in part], pa.Table.from_arrays(arrays, schema=self.schema)

    def read_smiles(self, numbers: Sequence[int], part: pa.Table) -> list[str | None]:
        """The SMILES of a part of :meth:`read_parts`.

        Raises:
            ContractError: one of Parquet is no text; the message names its row.
        """
        values = read_values(self.path, self.smiles, part[self.smiles], numbers[0])
        return [None if value is None else str(value) for value in values]

    def read_rows(self) -> Iterator[tuple[int, Sequence[str]]]:
        """The line on which each row of a text file begins, and its cells.

        Raises:
            ContractError: a row has more or fewer than there are columns.
        """
        if self.separator is None:
            cells = len(self.names)
            for line, (text,) in self.read_records():
                found = text.strip().split(maxsplit=1) if cells > 1 else [text.strip()]
                yield line, [*found, ""][:cells]
            return
        for line, cells in islice(self.read_records(), 1, None):
            if len(cells) != len(self.names):
                raise ContractError(
                    f"{self.path}, line {line}: {len(cells)} cells, but the header has {len(self.names)} names; a "
                    f"cell that holds the separator {name_separator(self.separator)} needs quotation marks around it, "
                    "and a line with fewer cells separators for those that are empty"
                )
            yield line, cells

    def read_records(self) -> Iterator[tuple[int, list[str]]]:
        """The line on which each record of a text file begins, and its cells; those without any text are left out.

        Raises:
            ContractError: a quotation mark is in the wrong place, or the text is not in its encoding.
        """
        line = 1
        with self.open_bytes() as packed, io.TextIOWrapper(packed, self.head[0], newline="") as stream:
            try:
                if self.separator is None:
                    for line, text in enumerate(stream, 1):
                        if text.strip():
                            yield line, [text]
                    return
                before = 0
                if DECLARED.match(self.head[1]):
                    stream.readline()
                    before = 1
                csv.field_size_limit(max(csv.field_size_limit(), CELL))
                reader = csv.reader(stream, delimiter=self.separator, strict=True)
                line = before + 1
                for cells in reader:
                    if any(cell.strip() for cell in cells):
                        yield line, cells
                    line = before + reader.line_num + 1
            except csv.Error as error:
                raise ContractError(
                    f"{self.path}, line {line}: a quotation mark that is never closed, or with text behind it "
                    f"({error}); put one at both ends of the cell, and write one inside it twice"
                ) from error
            except UnicodeDecodeError as error:
                raise ContractError(
                    f"{self.path}, behind line {line}: not {self.head[0].upper()} ({error.reason}); save the file as "
                    "UTF-8"
                ) from error

    def open_bytes(self) -> io.BufferedIOBase:
        """The bytes of a text file, unpacked."""
        compression = COMPRESSIONS.get(self.path.suffix.lower()) if not self.is_parquet else None
        return io.BufferedReader(pa.input_stream(os.fspath(self.path), compression=compression))


def is_number(kind: pa.DataType) -> bool:
    """Whether values of a type are numbers, which can all be read."""
    return pa.types.is_integer(kind) or pa.types.is_floating(kind)
