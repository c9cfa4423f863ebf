"""Files that are whole or not there, hashes of them, and the error that names a broken one.

What is written gets its name once it is whole: a reader never finds half a file, whatever was killed meanwhile.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NEUTRAL = "carries bytes and messages as they are"

StrPath = str | os.PathLike[str]  # what a file may be named by

# where people find what errors tell them to change
DATASET_ENTRY = "the dataset's entry (config/datasets.yaml, or `datasets:` of the configuration)"

# of a file that may be either
MAKE_ANEW = "bring it here anew if it is yours; if the workflow has made it, delete it and rerun"


class ContractError(ValueError):
    """A file or a setting breaks a contract; the message names it, the place in it and the remedy."""


class MoleculeError(ContractError):
    """Some molecules break a contract.

    Who knows where they come from adds that to the message (:func:`boomlib.contracts.locating`).

    Args:
        message: says what is wrong and the remedy.
        smiles: the molecules.
    """

    def __init__(self, message: str, smiles: Iterable[str]) -> None:
        super().__init__(message, list(smiles))  # both, or it would not come back from a worker process

    @property
    def smiles(self) -> list[str]:
        """The molecules, as the tables of their stage write them."""
        return list(self.args[1])

    def __str__(self) -> str:
        return str(self.args[0])


def check_writable(*folders: StrPath) -> None:
    """Raise :class:`ContractError` unless files can be written in ``folders``, which need not be there yet."""
    for folder in folders:
        path = Path(folder).absolute()
        there = next(each for each in (path, *path.parents) if os.access(each, os.F_OK))
        if not os.access(there, os.W_OK | os.X_OK):
            if os.statvfs(there).f_flag & os.ST_RDONLY:
                raise ContractError(f"{there}: Read-only file system; run where results can be written")
            remedy = (
                "it is yours: allow it (chmod u+rwx)"
                if there.stat().st_uid == os.getuid()
                else "if the checkout is somebody else's, clone it to a folder of your own and run there; if it is "
                "yours, become the owner of what is in it (chown)"
            )
            raise ContractError(f"{there}: no permission to write there; {remedy}")


def atomic_path(path: StrPath) -> Path:
    """Return the path to write to before :func:`commit` renames it to ``path``; makes the folder."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{path.name}.part")


def commit(path: StrPath) -> None:
    """Rename what was written at ``atomic_path(path)`` to ``path``."""
    atomic_path(path).replace(path)


@contextmanager
def scratch_folder(path: StrPath) -> Iterator[Path]:
    """An empty folder beside ``path`` while the context lasts; what a killed job left in it is removed."""
    path = Path(path)
    folder = path.with_name(f".{path.name}.scratch")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def write_text(path: StrPath, text: str) -> None:
    """Write ``text`` to ``path`` in one step."""
    atomic_path(path).write_text(text, encoding="utf-8")
    commit(path)


def write_json(path: StrPath, value: object) -> None:
    """Write ``value`` as indented JSON; NaN and infinity are refused, since JSON has neither."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: StrPath) -> dict[str, Any]:
    """Read a JSON file; a truncated one raises :class:`ContractError`."""
    try:
        value: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ContractError(f"{path}: not readable as JSON ({error}); {MAKE_ANEW}") from error
    return value


def sha256(path: StrPath) -> str:
    """Hexadecimal sha256 of a file's bytes."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
