"""What has been said of molecules, in an SQLite file: a job that is killed goes on, and asks no molecule twice."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from boomlib.files import ContractError

NEUTRAL = "stores what models say, as they say it"

DAMAGED = ("not a database", "malformed")  # in what SQLite says
TABLES = """
CREATE TABLE IF NOT EXISTS molecules (id INTEGER PRIMARY KEY, smiles TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS answers (
    molecule INTEGER NOT NULL, source TEXT NOT NULL, numbers BLOB NOT NULL, reason TEXT,
    PRIMARY KEY (molecule, source)
) WITHOUT ROWID;
CREATE TEMP TABLE asked (id INTEGER PRIMARY KEY);
"""


@dataclass(frozen=True)
class Answers:
    """What one source says of some molecules: float64 [n, k], NaN where there is nothing, and why not by position."""

    numbers: np.ndarray
    reasons: dict[int, str]


class Chunk(NamedTuple):
    """Some molecules, by their numbers in the store and as they are written, and whom they are to be shown."""

    ids: list[int]
    smiles: list[str]
    sources: list[str]


class Store:
    """Answers by molecule, as its SMILES is written, and by source, whose name changes with what may change an answer.

    Each call that writes is one transaction.
    """

    def __init__(self, connection: sqlite3.Connection, sources: Sequence[str]) -> None:
        """Drop answers of other sources than ``sources``."""
        self.connection, self.sources = connection, list(sources)
        self.connection.executescript(TABLES)
        with self.connection:
            self.connection.execute(
                f"DELETE FROM answers WHERE source NOT IN ({', '.join('?' * len(self.sources))})", self.sources
            )

    def add_molecules(self, smiles: Iterable[str]) -> None:
        """Have molecules asked; new ones are numbered in the order in which they come first."""
        texts = [(text,) for text in smiles]
        with self.connection:
            self.connection.executemany("INSERT OR IGNORE INTO molecules (smiles) VALUES (?)", texts)
            self.connection.executemany("INSERT OR IGNORE INTO asked SELECT id FROM molecules WHERE smiles = ?", texts)

    def count_left(self) -> int:
        """Molecules that are asked and of which a source has said nothing yet."""
        return int(self.connection.execute(f"SELECT count(*) {self.left()}", (0, len(self.sources))).fetchone()[0])

    def list_left(self, size: int) -> Iterator[Chunk]:
        """These molecules by number, ``size`` at a time, with the sources that lack some of a chunk.

        What is written meanwhile, of chunks that are out, changes none of the following: a job that was killed goes on
        with the same chunks, as long as their answers are written in order.
        """
        last = 0
        query = f"SELECT id, smiles {self.left()} ORDER BY id LIMIT ?"
        while found := self.connection.execute(query, (last, len(self.sources), size)).fetchall():
            ids, smiles = (list(column) for column in zip(*found, strict=True))
            last = ids[-1]
            there = dict(
                self.connection.execute(
                    f"SELECT source, count(*) FROM answers WHERE molecule IN ({', '.join('?' * len(ids))}) "
                    "GROUP BY source",
                    ids,
                )
            )
            yield Chunk(ids, smiles, [name for name in self.sources if there.get(name, 0) < len(ids)])

    @staticmethod
    def left() -> str:
        """The clause that selects what is asked behind a number, and has fewer answers than there are sources."""
        return (
            "FROM molecules JOIN asked USING (id) "
            "WHERE id > ? AND (SELECT count(*) FROM answers WHERE molecule = id) < ?"
        )

    def write(self, ids: Sequence[int], said: dict[str, Answers]) -> None:
        """Keep what sources say of the molecules with some numbers."""
        rows = [
            (molecule, name, answers.numbers[row].tobytes(), answers.reasons.get(row))
            for name, answers in said.items()
            for row, molecule in enumerate(ids)
        ]
        with self.connection:
            self.connection.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)", rows)

    def read(self, smiles: Sequence[str]) -> dict[str, Answers]:
        """What all sources have said of some molecules, by source.

        Raises:
            ContractError: one has not been asked.
        """
        query = (
            "SELECT source, numbers, reason FROM answers WHERE molecule = (SELECT id FROM molecules WHERE smiles = ?)"
        )
        numbers: dict[str, list[np.ndarray]] = {name: [] for name in self.sources}
        reasons: dict[str, dict[int, str]] = {name: {} for name in self.sources}
        for row, text in enumerate(smiles):
            for name, content, reason in self.connection.execute(query, (text,)):
                numbers[name].append(np.frombuffer(content))
                if reason is not None:
                    reasons[name][row] = reason
        if any(len(each) < len(smiles) for each in numbers.values()):
            raise ContractError("the file of molecules has changed while it was screened; run again")
        return {name: Answers(np.stack(numbers[name]), reasons[name]) for name in self.sources}


@contextmanager
def open_store(path: Path, sources: Sequence[str]) -> Iterator[Store]:
    """The store in a file, which is made where there is none.

    Raises:
        ContractError: the file is damaged, or cannot be read or written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path)
    try:
        yield Store(connection, sources)
    except sqlite3.DatabaseError as error:
        broken = any(text in str(error) for text in DAMAGED)
        remedy = (
            "delete it, and all molecules are predicted anew"
            if broken
            else "see that its disk has room and its file system locks files (docs/cluster.md), and run again"
        )
        raise ContractError(f"{path}: not readable or writable ({error}); {remedy}") from error
    finally:
        connection.close()
