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

from boomlib.datasets.columns import Counts, as_text
from boomlib.datasets.delimited import (
    DECLARED,
    MARKS,
    SEPARATORS,
    decode,
    name_separator,
    read_names,
)
from boomlib.datasets.formats import COMPRESSIONS, PARQUET, describe, recognise
from boomlib.datasets.rows import why_no_molecule
from boomlib.files import ContractError

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
            whole = data[: data.rfind(b"\n") + 1] if len(data) == HEAD else data
            return encoding, decode(self.path, whole)
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
            lines = self.head[1].split("\n", 1)[0].split(maxsplit=1)
            return [SMILES, "name"][: max(1, len(lines))]
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
                "of SMILES with --smiles-column, or `smiles_column` of a screen"
            )
        return found

    def is_smiles(self, name: str) -> bool:
        """Whether the column of SMILES has this name."""
        return name == self.column if self.column else name.lower() == SMILES

    def count(self) -> int:
        """Rows, of which each is looked at.

        Raises:
            ContractError: a row cannot be read; the message names its line.
        """
        if self.is_parquet:
            return pq.read_metadata(self.path).num_rows
        return sum(1 for _ in self.read_rows())

    @property
    def counts(self) -> Counts:
        """By what a row is found in the file."""
        return "row" if self.is_parquet else "line"

    def read_parts(self, rows: int) -> Iterator[pa.Table]:
        """All columns, ``rows`` rows at a time, in order; of a text file as text."""
        yield from (part for _, part in self.read_numbered(rows))

    def read_numbered(self, rows: int) -> Iterator[tuple[list[int], pa.Table]]:
        """Parts as of :meth:`read_parts`, each with the numbers of its rows, by what they are counted (``counts``)."""
        if self.is_parquet:
            with pq.ParquetFile(self.path) as file:
                first = 1
                for batch in file.iter_batches(rows):
                    yield list(range(first, first + len(batch))), pa.Table.from_batches([batch])
                    first += len(batch)
            return
        schema = pa.schema([(name, pa.string()) for name in self.names])
        left = self.read_rows()
        while part := list(islice(left, rows)):
            cells = zip(*(row for _, row in part), strict=True)
            columns = [pa.array(column, pa.string()) for column in cells]
            yield [line for line, _ in part], pa.Table.from_arrays(columns, schema=schema)

    def read_smiles(self, part: pa.Table) -> list[str | None]:
        """The SMILES of a part."""
        return [None if value is None else str(as_text(value)) for value in part[self.smiles].to_pylist()]

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
                    f"{self.path}, line {line}: {len(cells)} cells, but the header has {len(self.names)} names; put a "
                    f"cell that holds the separator {name_separator(self.separator)} in quotation marks"
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
                before = 0
                if DECLARED.match(self.head[1]):
                    stream.readline()
                    before = 1
                if self.separator is None:
                    records = ([text] for text in stream)
                    for line, record in enumerate(records, 1):
                        if record[0].strip():
                            yield line, record
                    return
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
