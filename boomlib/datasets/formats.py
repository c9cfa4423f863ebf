"""Which format a file from outside has: its name says which one to read, and its bytes must agree."""

import contextlib
import io
import os
import re
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from boomlib.files import ContractError

PARQUET = (".parquet", ".pq")
COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}  # by the ending of a name
# what files of each format begin with
STARTS = {
    b"PAR1": "Parquet",
    b"\x1f\x8b": "gzip",
    b"BZh": "bz2",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ\0": "xz",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"PK\x03\x04": "zip",
    b"\xd0\xcf\x11\xe0": "xls",
    b"ARROW1": "Arrow",
    b"FEA1": "Feather",
    b"\x89HDF": "HDF5",
    b"SQLite format 3\0": "SQLite",
    b"%PDF": "PDF",
    b"{\\rtf": "RTF",
    b"version https://git-lfs": "a pointer of Git LFS, without the data",
}
# what stands in a zip file -> the format that it is
ZIPPED = {"xl/workbook.xml": "xlsx", "xl/workbook.bin": "xlsb", "content.xml": "ods"}
SHEET = "save its sheet as CSV in UTF-8"
RENAME = "rename it, here and in the entry"
UNPACK = "unpack it, and name what is in it in the entry"
# what a format is, the ending that its files should have, and what to do about one that is no table here
ADVICE = {
    "text": ("text, such as CSV", ".csv", RENAME),
    "Parquet": ("Parquet", ".parquet", RENAME),
    "gzip": ("packed by gzip", ".gz", f"{RENAME}, or unpack it"),
    "bz2": ("packed by bz2", ".bz2", f"{RENAME}, or unpack it"),
    "zstd": ("packed by zstd", ".zst", f"{RENAME}, or unpack it"),
    "xz": ("packed by xz", ".xz", UNPACK),
    "7z": ("packed by 7-Zip", ".7z", UNPACK),
    "zip": ("a zip archive", ".zip", UNPACK),
    "xlsx": ("an Excel sheet", ".xlsx", SHEET),
    "xlsb": ("an Excel sheet", ".xlsb", SHEET),
    "xls": ("an Excel sheet", ".xls", SHEET),
    "ods": ("an OpenDocument sheet", ".ods", SHEET),
    "HTML": ("a web page (HTML), perhaps an error saved in place of the file", "", "download the file itself"),
}
OTHER = "write the table as CSV in UTF-8 or as Parquet"
TABLES = (*PARQUET, ".csv", ".tsv", ".txt")  # endings of unpacked tables
PACKED = ("gzip", "bz2", "zstd", "xz", "7z", "zip")
HTML = re.compile(rb"\s*<(!doctype html|html|\?xml)", re.IGNORECASE)


def recognise(data: bytes) -> str:
    """The format of a file's bytes: a value of :data:`STARTS` or :data:`ZIPPED`, ``HTML`` or ``text``."""
    found = next((name for start, name in STARTS.items() if data.startswith(start)), "text")
    if found == "zip":
        with contextlib.suppress(zipfile.BadZipFile), zipfile.ZipFile(io.BytesIO(data)) as archive:
            inside = archive.namelist()
            return next((name for member, name in ZIPPED.items() if member in inside), "zip")
    if found == "text" and HTML.match(data):
        return "HTML"
    return found


def read_source(path: str | os.PathLike) -> pa.Table | bytes:
    """The table of a Parquet file, or the bytes of a text file, unpacked if its name ends in ``.gz`` or the like.

    Raises:
        ContractError: the file is not there or damaged, or its bytes are not what its name says; the message names
            the format of the bytes and the name that it should have.
    """
    name = Path(path).name
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ContractError(f"{path}: not readable ({error.strerror}); correct the path") from error
    suffix = Path(name).suffix.lower()
    compression = COMPRESSIONS.get(suffix)
    if compression and recognise(data) == compression:
        try:
            data = pa.CompressedInputStream(pa.py_buffer(data), compression).read()
        except (pa.ArrowException, OSError) as error:
            raise ContractError(f"{path}: damaged {compression} ({error}); bring the file here anew") from error
        name = Path(name).stem
        suffix = Path(name).suffix.lower()
        inside = recognise(data)
        if inside != "text":
            what, _, remedy = ADVICE.get(inside, (inside, "", OTHER))
            raise ContractError(
                f"{path}: {what} inside {compression}; {UNPACK if inside in (*PACKED, 'Parquet') else remedy}"
            )
    found = recognise(data)
    wanted = "Parquet" if suffix in PARQUET else COMPRESSIONS.get(suffix, "text")
    if not data:
        raise ContractError(f"{path}: the file is empty; bring it here anew")
    if found != wanted:
        raise ContractError(f"{path}: its bytes are {describe(found, name)}")
    if found == "text":
        return data
    try:
        return pq.read_table(pa.BufferReader(data))
    except (pa.ArrowException, OSError) as error:
        raise ContractError(
            f"{path}: not readable as Parquet, probably truncated ({error}); bring the file here anew from where it "
            "came from"
        ) from error


def describe(found: str, name: str) -> str:
    """A format, the name that a file of it should have instead of ``name``, and what to do."""
    what, ending, remedy = ADVICE.get(found, (found, "", OTHER))
    if not ending or name.lower().endswith(ending):
        return f"{what}; {remedy}"
    suffix = Path(name).suffix.lower()
    wrong = suffix in COMPRESSIONS or (suffix in TABLES and found not in PACKED)  # and else what a packed file holds
    stem = Path(name).stem if wrong else name
    right = stem if found == "text" and Path(stem).suffix else f"{stem}{ending}"
    return f"{what}, which should be named {right}; {remedy}"
