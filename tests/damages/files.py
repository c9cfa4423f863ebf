"""Damage to a file as a whole: its bytes, its packing, its format, its date."""

import bz2
import gzip
import io
import itertools
import lzma
import sqlite3
import time
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from damages.tables import (
    FILE,
    HEADER,
    LABEL,
    NAME,
    NOTE,
    SMILES,
    Refused,
    Same,
    Table,
    Variant,
    at_line,
    line_of,
    make_config,
    pick,
    pick_rows,
)

ANEW = "here anew"
AS_UTF8 = "save the file as UTF-8"


def pack(kind: str, data: bytes) -> bytes:
    """``data`` packed by gzip, bz2 or zstd, named by the ending."""
    if kind == "zst":
        return pa.Codec("zstd").compress(data, asbytes=True)
    return {"gz": gzip.compress, "bz2": bz2.compress}[kind](data)


def marked_encoding(good: Table, random: np.random.Generator) -> Variant:
    """an encoding that a byte order mark tells"""
    notes = good.with_cells(
        NOTE, {row: pick(random, ("25 °C", "größe", "≥ 3", "水", "🜁")) for row in pick_rows(random, good)}
    )
    encoding = pick(random, ("utf-8-sig", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"))
    mark = "" if encoding == "utf-8-sig" else "\ufeff"
    return Variant(Same(), (mark + notes.write()).encode(encoding))


def unmarked_encoding(good: Table, random: np.random.Generator) -> Variant:
    """an encoding that nothing tells"""
    encoding = pick(random, ("latin-1", "cp1252", "mac-roman", "utf-16-le", "utf-16-be", "utf-32-le"))
    if encoding.startswith("utf"):
        return Variant(Refused(f"{FILE}: not UTF-8", AS_UTF8), good.write().encode(encoding))
    rows, column = pick_rows(random, good), pick(random, (NAME, SMILES, LABEL, NOTE))
    damaged = good.with_cells(column, {row: good.rows[row][column] + pick(random, "éµ°±") for row in rows})
    return Variant(Refused(at_line(line_of(rows[0])), AS_UTF8), damaged.write().encode(encoding))


def zero_byte(good: Table, random: np.random.Generator) -> Variant:
    """a zero byte in some cells"""
    rows, column = pick_rows(random, good), pick(random, (SMILES, LABEL, NOTE))
    damaged = {}
    for row in rows:
        text = good.rows[row][column]
        at = random.integers(1, len(text) + 1)
        damaged[row] = f"{text[:at]}\0{text[at:]}"
    reasons = {SMILES: "the SMILES has a control character", LABEL: "y is not a finite number"}
    outcome = Same({line_of(row): reasons[column] for row in rows}, frozenset(rows)) if column != NOTE else Same()
    return Variant(outcome, good.with_cells(column, damaged).write())


def zero_block(good: Table, random: np.random.Generator) -> Variant:
    """a block of zero bytes in place of text, as a crash leaves it"""
    data = bytearray(good.write().encode())
    start = int(random.integers(len(data) // 10, len(data) - 100))
    size = pick(random, (2, 50, 100, 512, len(data)))
    data[start : start + size] = bytes(len(data[start : start + size]))
    return Variant(Refused(at_line(data.count(b"\n", 0, start) + 1), ANEW), bytes(data))


def cut_off(good: Table, random: np.random.Generator) -> Variant:
    """the file ends within a row"""
    row = int(random.integers(1, len(good.rows)))
    lines = good.lines()[: line_of(row)]
    kept = random.integers(1, lines[-1].rindex(",") + 1)  # of the last line, no more than before the comma of its note
    return Variant(Refused(at_line(line_of(row)), "mend the line"), "\n".join([*lines[:-1], lines[-1][:kept]]))


def packed(good: Table, random: np.random.Generator) -> Variant:
    """packed, in one part or several, under any good name"""
    data, kind = good.write().encode(), pick(random, ("gz", "bz2", "zst"))
    cuts = [0, *sorted(random.integers(0, len(data), size=random.integers(0, 4)).tolist()), len(data)]
    parts = [pack(kind, data[start:end]) for start, end in itertools.pairwise(cuts)]
    file = pick(random, ("own.csv", "own.CSV", "own.txt", "own", "my own.data")) + pick(
        random, (f".{kind}", f".{kind.upper()}")
    )
    return Variant(Same(), b"".join(parts), make_config(file=file), file)


def damaged_packing(good: Table, random: np.random.Generator) -> Variant:
    """packed, and cut off or with a wrong byte"""
    kind = pick(random, ("gz", "bz2", "zst"))
    data = bytearray(pack(kind, good.write().encode()))
    if kind == "zst" or random.random() < 0.5:
        del data[random.integers(10, len(data)) :]
    else:
        data[random.integers(12, len(data))] ^= 1 << random.integers(8)
    file = f"{FILE}.{kind}"
    return Variant(Refused(f"{file}: damaged", "bring the file here anew"), bytes(data), make_config(file=file), file)


def make_zip(*members: str) -> bytes:
    """A zip archive of some members."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for member in members:
            archive.writestr(member, "1")
    return stream.getvalue()


def write_parquet(columns: list[pa.Array]) -> bytes:
    """The bytes of a Parquet file."""
    stream = io.BytesIO()
    pq.write_table(pa.table(columns, names=list(HEADER)), stream)
    return stream.getvalue()


def as_parquet(good: Table, smiles: pa.DataType, label: pa.DataType) -> bytes:
    """The table as Parquet, its columns of the given types."""
    columns = [pa.array(column) for column in zip(*good.rows, strict=True)]
    columns[SMILES] = columns[SMILES].cast(smiles)
    columns[LABEL] = columns[LABEL].cast(label)
    return write_parquet(columns)


def other_format(good: Table, random: np.random.Generator) -> Variant:
    """another format than the name says"""
    text, sheet = good.write().encode(), "save its sheet as CSV in UTF-8"
    database = sqlite3.connect(":memory:")
    database.execute("create table own (y real)")
    name, data, remedy = pick(
        random,
        (
            ("own.csv", as_parquet(good, pa.string(), pa.float64()), "should be named own.parquet; rename it"),
            ("own.csv", gzip.compress(text), "should be named own.csv.gz; rename it"),
            ("own.txt", pack("zst", text), "should be named own.txt.zst; rename it"),
            ("own.csv", lzma.compress(text), "unpack it"),
            ("own.csv", make_zip("own.csv"), "unpack it"),
            ("own.csv", make_zip("[Content_Types].xml", "xl/workbook.xml"), sheet),
            ("own.xlsx", make_zip("[Content_Types].xml", "xl/workbook.xml"), sheet),
            ("own.csv", make_zip("mimetype", "content.xml"), sheet),
            ("own.csv", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512), sheet),
            ("own.csv", b"<!DOCTYPE html>\n<html>404</html>\n", "download the file itself"),
            ("own.csv", b'<?xml version="1.0"?>\n<rows/>\n', "download the file itself"),
            ("own.csv", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "write the table as CSV in UTF-8 or as Parquet"),
            ("own.csv", database.serialize(), "write the table as CSV in UTF-8 or as Parquet"),
            ("own.csv.gz", text, "should be named own.csv; rename it"),
            ("own.csv.bz2", gzip.compress(text), "should be named own.csv.gz; rename it"),
            ("own.parquet", text, "should be named own.csv; rename it"),
        ),
    )
    return Variant(Refused(f"{name}: its bytes are", remedy), data, make_config(file=name), name)


def parquet(good: Table, random: np.random.Generator) -> Variant:
    """Parquet with columns of any type that holds them"""
    smiles = pick(
        random, (pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.dictionary(pa.int32(), pa.string()))
    )
    label = pick(random, (pa.float64(), pa.string(), pa.decimal128(12, 4), pa.dictionary(pa.int32(), pa.string())))
    name = pick(random, ("own.parquet", "own.pq", "own.PARQUET"))
    return Variant(Same(), as_parquet(good, smiles, label), make_config(file=name), name)


def nested_packing(good: Table, random: np.random.Generator) -> Variant:
    """something else than text, packed"""
    kind, data = pick(
        random,
        (
            ("packed by gzip", gzip.compress(good.write().encode())),
            ("packed by bz2", bz2.compress(good.write().encode())),
            ("Parquet", as_parquet(good, pa.string(), pa.float64())),
            ("an Excel sheet", make_zip("xl/workbook.xml")),
            ("a zip archive", make_zip("own.csv")),
        ),
    )
    packing, ending = pick(random, (("gzip", "gz"), ("bz2", "bz2"), ("zstd", "zst")))
    file = f"{FILE}.{ending}"
    remedy = "save its sheet as CSV" if kind == "an Excel sheet" else "unpack it, and name what is in it"
    place = f"{file}: {kind} inside {packing}"
    return Variant(Refused(place, remedy), pack(ending, data), make_config(file=file), file)


def unreadable_parquet(good: Table, random: np.random.Generator) -> Variant:
    """Parquet with a value that is none, such as text that is no UTF-8 or a date of another age"""
    row, column = int(random.integers(len(good.rows))), pick(random, (SMILES, LABEL))
    cells = [cells[column].encode() for cells in good.rows]
    cells[row] = pick(random, (b"\xff", b"C\xb5", b"\xc3"))
    dates = [0] * len(good.rows)
    dates[row] = 2**31 - 1 - int(random.integers(1000))
    text = pa.array(cells, pa.binary())
    columns = [pa.array(each) for each in zip(*good.rows, strict=True)]
    columns[column] = pick(random, (text, text.view(pa.string()), pa.array(dates, pa.date32())))
    place, remedy = f"own.parquet, row {row + 1}: column '{HEADER[column]}'", "write the column anew"
    data = write_parquet(columns)
    return Variant(Refused(place, remedy), data, make_config(file="own.parquet"), "own.parquet")


def damaged_parquet(good: Table, random: np.random.Generator) -> Variant:
    """Parquet that is cut off or lacks its beginning"""
    data = as_parquet(good, pa.string(), pa.float64())
    cut = int(random.integers(8, len(data) - 8))
    broken, remedy = pick(random, ((data[:cut], ANEW), (b"PAR1" + data[cut:], ANEW), (data[:-8] + bytes(8), ANEW)))
    return Variant(Refused("own.parquet:", remedy), broken, make_config(file="own.parquet"), "own.parquet")


def date(good: Table, random: np.random.Generator) -> Variant:
    """a date of long ago, of tomorrow or of no clock"""
    return Variant(
        Same(), good.write(), date=pick(random, (0.0, 1.0, 1e9 * random.random(), time.time() + 86400, 4e9))
    )


def empty(good: Table, random: np.random.Generator) -> Variant:
    """nothing in the file, or no more than the names of its columns"""
    data, remedy = pick(
        random,
        (
            (b"", "the file is empty; bring it here anew"),
            (b"\n\n \n", "no line of column names; bring it here anew"),
            (b"\xef\xbb\xbf", "no line of column names; bring it here anew"),
            (good.lines()[0].encode(), "there are no rows"),
            (good.lines()[0].encode() + b"\n" + b",,,\n" * random.integers(1, 9), "there are no rows"),
        ),
    )
    return Variant(Refused(f"{FILE}:", remedy), data)
