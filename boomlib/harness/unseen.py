"""Molecules from outside: checked as those of a dataset, features computed in memory, none lost to another."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from boomlib.datasets.rows import why_no_molecule
from boomlib.declared import list_tables, order_features
from boomlib.featurize import silence_rdkit
from boomlib.provenance import content_hash
from boomlib.smiles import without_maps

NEUTRAL = "computes what features and models say, as they say it"

EXHAUSTED = ("out of memory", "can't allocate memory")  # in what PyTorch raises on a GPU and on processors
Settings = Mapping[str, Mapping[str, object]]  # by feature, arguments of its ``compute``


@dataclass(frozen=True)
class Described:
    """A feature of molecules.

    Attributes:
        table: a row a molecule, null where it failed.
        failed: why the feature could not be computed, by row.
    """

    table: pa.Table
    failed: Mapping[int, str]

    @property
    def reasons(self) -> dict[int, str]:
        """Why there is nothing for a model to read, by row: what failed, and gaps with what the feature notes."""
        columns = ", ".join([name for name in self.table.column_names if name != "note"][:3])
        found = self.note_gaps(pc.is_null)
        return {row: note or f"no {columns}" for row, note in found.items()} | dict(self.failed)

    @property
    def unknown(self) -> dict[int, str]:
        """What the feature notes of molecules of which it cannot tell some column, NaN, that a model fills, by row."""
        return {row: note for row, note in self.note_gaps(is_nan).items() if note}

    def note_gaps(self, find: Callable[[pa.ChunkedArray], pa.ChunkedArray]) -> dict[int, str | None]:
        """The rows where ``find`` is true of some column, each with what the feature notes, None where it does not."""
        gaps = np.zeros(self.table.num_rows, dtype=bool)
        for name in self.table.column_names:
            if name != "note":
                gaps |= find(self.table[name]).to_numpy()
        notes = self.table["note"] if "note" in self.table.column_names else None
        return {int(row): None if notes is None else notes[int(row)].as_py() for row in np.flatnonzero(gaps)}


def is_nan(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Where a column is NaN, not null; nowhere if it holds no decimals."""
    if not pa.types.is_floating(column.type):
        return pa.chunked_array([np.zeros(len(column), dtype=bool)])
    return pc.is_nan(column).fill_null(False)


class NewMolecules:
    """Some molecules, whose features are computed once, when a model first asks for them, as is what a model says.

    Args:
        smiles: as people write them; None or blank where there is none.

    Attributes:
        rows: positions of those that can be read, int [readable].
        smiles: these, as all stages know them, object [readable].
        reasons: why the others cannot be read, by position.
        described: features.
        answered: what models say, by identity.
    """

    def __init__(self, smiles: Sequence[str | None]) -> None:
        silence_rdkit()
        self.given, self.reasons, written = len(smiles), {}, {}
        for row, text in enumerate(smiles):
            stripped = "" if text is None else str(text).strip()
            if reason := why_no_molecule(stripped) if stripped else "no SMILES":
                self.reasons[row] = reason
            else:
                written[row] = without_maps(stripped)
        self.rows = np.array(list(written), dtype=np.intp)
        self.smiles = np.array(list(written.values()), dtype=object)
        self.described: dict[str, Described] = {}
        self.answered: dict[str, Any] = {}

    def __len__(self) -> int:
        return self.given

    def describe(self, feature: str, settings: Settings) -> Described:
        """A feature of the readable molecules, at conformers that are embedded: there is no source with positions.

        Args:
            feature: its name.
            settings: of it and of the features that it reads, directly or not.
        """
        key = content_hash([feature, {name: dict(settings[name]) for name in order_features([feature])}])
        if key not in self.described:
            read = [None if name == "geometry" else self.describe(name, settings) for name in list_tables(feature)]
            self.described[key] = compute_apart(feature, self.smiles, read, settings[feature])
        return self.described[key]


def is_transient(error: Exception) -> bool:
    """Whether an error is of the machine, for want of memory, of a file or of a disk, and may not come again."""
    return isinstance(error, MemoryError | OSError) or any(text in str(error) for text in EXHAUSTED)


def compute_apart(
    feature: str, smiles: Sequence[str], read: Sequence[Described | None], settings: Mapping[str, object]
) -> Described:
    """Compute a feature; where it fails, of ever fewer molecules, until those are found with which it does.

    What is the machine's failure and no molecule's (:func:`is_transient`) is raised.

    Args:
        feature: name of a module of ``boomlib.features``.
        smiles: the molecules.
        read: the features that it reads, in the order of its arguments; None: no positions.
        settings: further arguments of ``compute``.
    """
    compute = importlib.import_module(f"boomlib.features.{feature}").compute
    failed = {row: reason for each in read if each is not None for row, reason in each.failed.items()}
    left = [np.array([row for row in range(len(smiles)) if row not in failed], dtype=np.intp)]
    rows, tables = [], [pa.table(compute([], *[None] * len(read), **settings))]
    while left:
        some = left.pop()
        if not len(some):
            continue
        extra = [None if each is None else each.table.take(pa.array(some)) for each in read]
        try:
            tables.append(pa.table(compute([smiles[row] for row in some], *extra, **settings)))
        except Exception as error:
            if len(some) > 1:
                left += np.array_split(some, 2)[::-1]
            elif is_transient(error):
                raise
            else:
                failed[int(some[0])] = f"{feature}: {type(error).__name__}: {error}"
        else:
            rows.append(some)
    place = np.full(len(smiles), -1)
    computed = np.concatenate([np.empty(0, dtype=np.intp), *rows])
    place[computed] = np.arange(len(computed))
    return Described(pa.concat_tables(tables).take(pa.array(place, mask=place < 0)), failed)
