"""Text with delimited columns, as spreadsheets and instruments write it: its encoding, its separator, its lines.

Lines are counted as an editor does: those that are blank, that follow a newline within quotation marks, and a first
line ``sep=;`` count.
"""

import codecs
import contextlib
import csv
import io
import itertools
import os
import re
from collections.abc import Iterator, Sequence

from boomlib.files import DATASET_ENTRY, ContractError

# UTF-32 first, whose mark begins with that of UTF-16
MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
SEPARATORS = (",", ";", "\t", "|")  # those that are looked for, and where none of them will do, blanks
WORDS = {"\t": "tab", " ": "space"}
DECLARED = re.compile(r'"?sep=(.)"?[ \t,;]*(\r\n|\r|\n)', re.IGNORECASE)  # Excel's first line
TITLES = 50  # lines above the names of the columns, at most, in which titles and comments are looked for
NEWLINE = re.compile(rb"\r\n|\r|\n")


class ColumnError(ContractError):
    """A file lacks a column, or has it twice; the reader that catches this adds the remedy."""


def decode(path: str | os.PathLike, data: bytes) -> str:
    """The text of a file: in UTF-8, or as its byte order mark says.

    Raises:
        ContractError: it is not, or has zero bytes in place of text; the message names the line.
    """
    encoding = next((name for mark, name in MARKS.items() if data.startswith(mark)), "utf-8")
    remedy = "save the file as UTF-8 (in Excel: “CSV UTF-8”)"
    if encoding.startswith("utf-8"):
        start = data[:4096]
        # of characters in UTF-16 the one or the other byte is zero
        if abs(start[::2].count(0) - start[1::2].count(0)) > len(start) / 5:
            raise ContractError(f"{path}: not UTF-8; its bytes look like UTF-16 without a byte order mark; {remedy}")
        if (lost := data.find(b"\0\0")) >= 0:
            raise ContractError(
                f"{path}, line {line_at(data, lost)}: zero bytes in place of text, as a crash or a broken copy leaves "
                "them, so that rows may be lost; bring the file here anew, or write it without them"
            )
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        place = f"{path}, line {line_at(data, error.start)}" if encoding.startswith("utf-8") else path
        shown = f"byte 0x{data[error.start]:02x}" if error.start < len(data) else "its end"
        raise ContractError(f"{place}: not {encoding.removesuffix('-sig').upper()} ({shown}); {remedy}") from error


def line_at(data: bytes, position: int) -> int:
    """The line of a byte."""
    return len(NEWLINE.findall(data, 0, position)) + 1


def split_records(path: str | os.PathLike, text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """The line on which each record begins, and its cells; records without any text are left out.

    Raises:
        ContractError: a quotation mark stands where none may, or is never closed.
    """
    declared = DECLARED.match(text)
    before = 1 if declared else 0
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))  # a long cell is no reason to fail
    stream = io.StringIO(text[declared.end() :] if declared else text, newline="")
    reader = csv.reader(stream, delimiter=separator, strict=True)
    while True:
        line = before + reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise ContractError(
                f"{path}, line {line}: a quotation mark that is never closed, or with text behind it ({error}); put "
                'one at both ends of the cell, and write one inside it twice (""), or leave it out'
            ) from error
        if any(cell.strip() for cell in cells):
            yield line, cells


def read_names(path: str | os.PathLike, text: str, separator: str) -> list[str]:
    """The names of the columns if they are separated by ``separator``; none if they cannot be."""
    try:
        _, cells = next(split_records(path, text, separator), (0, []))
    except ContractError:
        return []
    return [cell.strip() for cell in cells]


def find_separator(path: str | os.PathLike, text: str, columns: Sequence[str]) -> str:
    """The separator with which the header has all ``columns``; else that with which it has most.

    Raises:
        ContractError: with several of them it does.
    """
    if declared := DECLARED.match(text):
        return declared[1]
    names = {separator: read_names(path, text, separator) for separator in (*SEPARATORS, " ")}
    plain = [separator for separator in SEPARATORS if set(columns) <= set(names[separator])]
    if not plain and set(columns) <= set(names[" "]):
        return " "
    if len(plain) > 1:
        raise ContractError(
            f"{path}: its columns may be separated by {' or '.join(map(name_separator, plain))}; set `separator` in "
            f"{DATASET_ENTRY}"
        )
    return plain[0] if plain else max(SEPARATORS, key=lambda separator: len(names[separator]))


def find_names_below(
    path: str | os.PathLike, text: str, columns: Sequence[str], separators: Sequence[str]
) -> int | None:
    """The line that has all ``columns`` below titles or comments, by one of ``separators``; None if there is none."""
    for separator in separators:
        with contextlib.suppress(ContractError):
            for line, cells in itertools.islice(split_records(path, text, separator), TITLES):
                if set(columns) <= {cell.strip() for cell in cells}:
                    return line
    return None


def name_separator(separator: str) -> str:
    """A separator for people."""
    return f"'{WORDS.get(separator, separator)}'"


def read_delimited(
    path: str | os.PathLike, data: bytes, columns: Sequence[str], separator: str | None = None
) -> tuple[list[int], dict[str, list[str | None]]]:
    """The line of each row (the first is 1), and the cells of ``columns``, None where empty.

    Args:
        path: the file, for messages.
        data: its bytes.
        columns: names, as they stand in the header but for blanks around them.
        separator: one character; None: the one that the header shows.

    Raises:
        ColumnError: a column is not there once.
        ContractError: the text cannot be read, or something stands above the names; the message names the line.
    """
    text = decode(path, data)
    columns = [column.strip() for column in columns]
    separators = [separator] if separator else SEPARATORS
    separator = separator or find_separator(path, text, columns)
    records = split_records(path, text, separator)
    _, header = next(records, (0, []))
    names = [name.strip() for name in header]
    if not names:
        raise ContractError(f"{path}: the file has no line of column names; bring it here anew")
    unsure = ""
    if separator != "," or len(names) == 1:
        unsure = f"; if {name_separator(separator)} does not separate its columns, set `separator`"
    for column in columns:
        if names.count(column) != 1:
            problem = "more than one column" if column in names else "no column"
            found = f"{path}: {problem} '{column}' (it has: {', '.join(names)})"
            if column not in names and (line := find_names_below(path, text, columns, separators)):
                raise ContractError(f"{found}; line {line} has all columns: remove what stands above it")
            raise ColumnError(f"{found}{unsure}")
    places = {column: names.index(column) for column in columns}
    lines: list[int] = []
    values: dict[str, list[str | None]] = {column: [] for column in columns}
    for line, cells in records:
        if len(cells) != len(names):
            raise ContractError(
                f"{path}, line {line}: {len(cells)} cells, but the header has {len(names)} names; a cell that holds "
                f"the separator {name_separator(separator)}, as a decimal comma may, needs quotation marks around it, "
                "and a line with fewer cells separators for those that are empty; mend the line, or set `separator` "
                f"in {DATASET_ENTRY}"
            )
        lines.append(line)
        for column, place in places.items():
            values[column].append(cells[place] or None)
    return lines, values
