"""Raw rows of a source, and their way into the molecules table: sampled, checked, rejected with a reason."""

import csv
import math
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from boomlib.contracts import GEOMETRY, REJECTS, read_table, write_molecules, write_table
from boomlib.files import DATASET_ENTRY, ContractError, atomic_path, commit
from boomlib.progress import Progress

BLOCK = 1 << 26  # bytes of a CSV file that are parsed at once; no row may be longer
LONGEST_SMILES = 2000  # characters; RDKit's canonical SMILES overflows the stack on chains of 20,000 atoms
SHOWN = 200  # characters of a rejected text in rejects.csv
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet takes for the beginning of a formula


@dataclass(frozen=True)
class Rows:
    """Rows as they stand in the source.

    Attributes:
        row: number of each row in the source, the first below the header is 1; int64 [n].
        smiles: as written in the source, None where empty; [n].
        values: by property, numbers or the text that stands there, None where empty; [n] each.
        geometry: where the source has positions, maps row numbers to a table of ``atomic_numbers`` (list<uint8>)
            and ``positions`` (list<double>, flat, Å).
        same_molecule: maps a SMILES to what identifies its molecule when duplicates are looked for.
    """

    row: np.ndarray
    smiles: Sequence[str | None]
    values: dict[str, Sequence[object]]
    geometry: Callable[[np.ndarray], pa.Table] | None = None
    same_molecule: Callable[[str], str] = str

    def take(self, indices: np.ndarray) -> "Rows":
        """The rows at ``indices``, in that order."""
        return Rows(
            self.row[indices],
            [self.smiles[i] for i in indices],
            {name: [column[i] for i in indices] for name, column in self.values.items()},
            self.geometry,
            self.same_molecule,
        )


def only_source(sources: Sequence[str | os.PathLike], reader: str) -> str | os.PathLike:
    """The source of a dataset whose reader takes one; raises :class:`ContractError` if there are more or none."""
    if len(sources) != 1:
        raise ContractError(
            f"{DATASET_ENTRY}: reader '{reader}' takes one source, but the dataset has {len(sources)} "
            f"({', '.join(map(str, sources)) or 'none'}); correct its `sources` or `file`"
        )
    return sources[0]


class ColumnError(ContractError):
    """A file lacks a column, or has it twice; the reader that catches this adds the remedy."""


def read_columns(path: str | os.PathLike, columns: Sequence[str]) -> pa.Table:
    """Read ``columns`` of a CSV (as text) or Parquet file.

    Raises:
        ColumnError: a column is not there once.
        ContractError: the file is not readable.
    """
    columns = list(dict.fromkeys(columns))
    if str(path).endswith((".parquet", ".pq")):
        table = read_table(path)
        names = table.column_names
    else:
        options = pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(columns, pa.string()), strings_can_be_null=True, null_values=[""]
        )
        try:
            parse = pyarrow.csv.ParseOptions(newlines_in_values=True)
            read = pyarrow.csv.ReadOptions(block_size=BLOCK)
            table = pyarrow.csv.read_csv(path, read, parse, options)
            names = table.column_names
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise ContractError(f"{path}: not readable as CSV in UTF-8: {error}") from error
    for column in columns:
        if names.count(column) != 1:
            problem = "more than one column" if column in names else "no column"
            raise ColumnError(f"{path}: {problem} '{column}' (it has: {', '.join(names)})")
    return table.select(columns)


def draw_sample(rows: Rows, size: int, seed: int) -> Rows:
    """A seeded random sample without replacement, in the order of the source."""
    if size > len(rows.row):
        raise ContractError(
            f"{DATASET_ENTRY}: sample.size {size} exceeds the {len(rows.row)} rows of the source; lower it, or "
            "leave out `sample` to take them all"
        )
    picked = np.random.default_rng(seed).choice(len(rows.row), size=size, replace=False)
    return rows.take(np.sort(picked))


def as_number(value: object) -> float | None:
    """``value`` as a finite float, or None if it is none."""
    try:
        number = float(value)  # of text as CSV files have it; Python alone also reads 1_000
        if isinstance(value, str) and "_" in value:
            return None
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def why_no_molecule(smiles: str, max_heavy_atoms: int | None = None) -> str | None:
    """Why a text from outside gives no molecule, or one that is too large; None if it does."""
    from rdkit import Chem

    if len(smiles) > LONGEST_SMILES:
        return f"the SMILES has {len(smiles):,} characters, more than {LONGEST_SMILES:,}"
    if not smiles.isprintable():
        return "the SMILES has a control character"
    mol = Chem.MolFromSmiles(smiles)
    if mol is None:
        return "RDKit cannot parse the SMILES"
    if len(smiles.split()) > 1:
        return "there is more than a SMILES in its column"
    if any(atom.GetAtomicNum() == 0 for atom in mol.GetAtoms()):
        return "the SMILES has an atom of no element (*)"
    heavy = mol.GetNumHeavyAtoms()
    too_many = max_heavy_atoms is not None and heavy > max_heavy_atoms
    return f"{heavy} atoms besides hydrogen, more than `max_heavy_atoms` ({max_heavy_atoms})" if too_many else None


def find_rejects(rows: Rows, max_heavy_atoms: int | None = None) -> dict[int, str]:
    """Say why rows cannot be used: index of the row -> reason.

    Reasons are: no SMILES, those of :func:`why_no_molecule`, a label that is no finite number, a repetition of a
    molecule with the same labels (the first stays), and a molecule with contradicting labels (all go).
    """
    from rdkit import RDLogger

    RDLogger.DisableLog("rdApp.*")
    reasons, seen = {}, defaultdict(list)
    progress = Progress("check molecules", "mol", len(rows.smiles))
    for i, smiles in enumerate(rows.smiles):
        progress.advance()
        if reason := why_no_molecule(smiles, max_heavy_atoms) if smiles else "no SMILES":
            reasons[i] = reason
            continue
        for name, column in rows.values.items():
            if as_number(column[i]) is None:
                found = column[i].item() if isinstance(column[i], np.generic) else column[i]
                reasons[i] = f"{name} is not a finite number: {shortened(repr(found))}"
                break
        else:
            seen[rows.same_molecule(smiles)].append(i)
    for members in seen.values():
        labels = {tuple(as_number(column[i]) for column in rows.values.values()) for i in members}
        if len(labels) > 1:
            others = ", ".join(str(rows.row[i]) for i in members)
            reasons |= dict.fromkeys(members, f"the same molecule has different labels in rows {others}")
        else:
            reasons |= dict.fromkeys(members[1:], f"repeats row {rows.row[members[0]]}")
    return reasons


def shortened(text: str) -> str:
    """``text``, or the beginning of a long one."""
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} …"


def as_text(smiles: str | None) -> str:
    """What ``rejects.csv`` shows of a text from outside: not too much, and nothing that a spreadsheet would run."""
    text = shortened(smiles or "")
    return f"'{text}" if text.startswith(FORMULA) else text


def write_dataset(
    rows: Rows,
    units: dict[str, str],
    molecules: str | os.PathLike,
    rejects: str | os.PathLike,
    geometry: str | os.PathLike,
    max_heavy_atoms: int | None = None,
) -> None:
    """Check ``rows`` and write the molecules table, ``rejects.csv`` (row, smiles, reason) and the geometry table.

    The geometry table has the positions that the source brings, atoms in the source's order; else it is empty.
    """
    reasons = find_rejects(rows, max_heavy_atoms)
    kept = rows.take(np.array([i for i in range(len(rows.row)) if i not in reasons], dtype=np.int64))
    if not len(kept.row):
        row, reason = next(((rows.row[i], why) for i, why in sorted(reasons.items())), ("–", "there are no rows"))
        raise ContractError(f"{molecules}: no usable row in the source; the first reason (row {row}): {reason}")
    with atomic_path(rejects).open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(REJECTS)
        writer.writerows((rows.row[i], as_text(rows.smiles[i]), reason) for i, reason in sorted(reasons.items()))
    commit(rejects)
    values = {name: np.array([as_number(v) for v in column]) for name, column in kept.values.items()}
    write_molecules(molecules, kept.smiles, values, units)
    if kept.geometry is None:
        table = GEOMETRY.empty()
    else:
        table = kept.geometry(kept.row).add_column(0, "molecule_id", pa.array(np.arange(len(kept.row))))
    write_table(table, geometry, GEOMETRY)


def text_rows(table: pa.Table, smiles_column: str, columns: dict[str, str], **extra) -> Rows:
    """Rows of a table as read by :func:`read_columns`; ``columns`` maps property -> column."""
    smiles = pc.utf8_trim_whitespace(table[smiles_column].cast(pa.string())).to_pylist()
    values = {name: table[column].to_pylist() for name, column in columns.items()}
    return Rows(np.arange(1, table.num_rows + 1), smiles, values, **extra)
