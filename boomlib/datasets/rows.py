"""Raw rows of a source, and their way into the molecules table: sampled, checked, rejected with a reason."""

import csv
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from boomlib.contracts import DOUBLES, GEOMETRY, REJECTS, Origin, write_molecules, write_table
from boomlib.datasets.columns import Counts
from boomlib.datasets.labels import as_number, check_scale, is_missing, shortened, why_no_label
from boomlib.files import DATASET_ENTRY, ContractError, atomic_path, commit
from boomlib.progress import Progress
from boomlib.smiles import identify

LONGEST_SMILES = 2000  # characters; RDKit's canonical SMILES overflows the stack on chains of 20,000 atoms
REPEATS = "repeats"  # how the reason of a row begins whose molecule stands there before
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet takes for the beginning of a formula


@dataclass(frozen=True)
class Rows:
    """Rows as they stand in the source.

    Attributes:
        row: where each row stands in the source, by what it ``counts``; int64 [n].
        smiles: as written in the source, None where empty; [n].
        values: by property, numbers or the text that stands there, None where empty; [n] each.
        geometry: where the source has positions, maps row numbers to a table of ``atomic_numbers`` (list<uint8>)
            and ``positions`` (list<double>, flat, Å).
        same_molecule: maps a SMILES to what identifies its molecule when duplicates are looked for.
        written: maps a SMILES to the text by which all later stages know its molecule.
        counts: ``line`` of a text file of the user's, else ``row``, of which the first is 1.
        file: the user's file, in which messages name the place of a molecule; None: a source that is no user's.
        decimal: the decimal mark of labels that are text.
    """

    row: np.ndarray
    smiles: Sequence[str | None]
    values: dict[str, Sequence[object]]
    geometry: Callable[[np.ndarray], pa.Table] | None = None
    same_molecule: Callable[[str], str] = str
    written: Callable[[str], str] = str
    counts: Counts = "row"
    file: str | None = None
    decimal: str = "."

    def take(self, indices: np.ndarray) -> "Rows":
        """The rows at ``indices``, in that order."""
        return replace(
            self,
            row=self.row[indices],
            smiles=[self.smiles[i] for i in indices],
            values={name: [column[i] for i in indices] for name, column in self.values.items()},
        )


def only_source(sources: Sequence[str | os.PathLike], reader: str) -> str | os.PathLike:
    """The source of a dataset whose reader takes one; raises :class:`ContractError` if there are more or none."""
    if len(sources) != 1:
        raise ContractError(
            f"{DATASET_ENTRY}: reader '{reader}' takes one source, but the dataset has {len(sources)} "
            f"({', '.join(map(str, sources)) or 'none'}); correct its `sources` or `file`"
        )
    return sources[0]


def draw_sample(rows: Rows, size: int, seed: int) -> Rows:
    """A seeded random sample without replacement, in the order of the source."""
    if size > len(rows.row):
        raise ContractError(
            f"{DATASET_ENTRY}: sample.size {size} exceeds the {len(rows.row)} rows of the source; lower it, or "
            "leave out `sample` to take them all"
        )
    picked = np.random.default_rng(seed).choice(len(rows.row), size=size, replace=False)
    return rows.take(np.sort(picked))


def why_no_molecule(smiles: str, max_heavy_atoms: int | None = None) -> str | None:
    """Why a text from outside gives no molecule, or one that is too large; None if it does."""
    from rdkit import Chem

    if len(smiles) > LONGEST_SMILES:
        return f"the SMILES has {len(smiles):,} characters, more than {LONGEST_SMILES:,}"
    strange = next((each for each in smiles if not (each.isascii() and each.isprintable())), "")
    if strange:  # RDKit leaves out what is beyond ASCII at either end
        what = "a control character" if strange.isascii() else f"{strange!r}, which is no character of ASCII"
        return f"the SMILES has {what}"
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


def read_labels(rows: Rows) -> dict[str, np.ndarray]:
    """The labels by property, float64 [n]; NaN where there is none, or none that can be used."""
    return {
        # None becomes NaN
        name: np.array([as_number(value, rows.decimal) for value in column], dtype=np.float64)
        for name, column in rows.values.items()
    }


def why_no_labels(rows: Rows, i: int) -> str | None:
    """Why the labels of row ``i`` cannot be used: one is no number, or there is none at all; None if they can."""
    present = {name: column[i] for name, column in rows.values.items() if not is_missing(column[i])}
    for name, value in present.items():
        if reason := why_no_label(value, rows.decimal):
            return f"{name} {reason}"
    return None if present else f"no label ({', '.join(rows.values)})"


def merge(rows: Rows, labels: Mapping[str, np.ndarray], members: Sequence[int]) -> dict[int, str]:
    """Make one molecule of the rows that are the same: the first takes the labels that it lacks from the others.

    Args:
        rows: the rows.
        labels: by property, float64 [n]; those of the first of the rows are filled.
        members: indices of the rows of one molecule.

    Returns:
        Why rows go: they repeat the first, or all of them, if a property has different labels.
    """
    known = {name: (column[members])[~np.isnan(column[members])] for name, column in labels.items()}
    if any(len(set(values.tolist())) > 1 for values in known.values()):
        others = ", ".join(str(rows.row[i]) for i in members)
        return dict.fromkeys(members, f"the same molecule has different labels in {rows.counts}s {others}")
    for name, values in known.items():
        labels[name][members[0]] = values[0] if len(values) else np.nan
    return dict.fromkeys(members[1:], f"{REPEATS} {rows.counts} {rows.row[members[0]]}")


def find_rejects(rows: Rows, labels: Mapping[str, np.ndarray], max_heavy_atoms: int | None = None) -> dict[int, str]:
    """Say why rows cannot be used: index of the row -> reason.

    Reasons are: no SMILES, those of :func:`why_no_molecule`, those of :func:`why_no_labels` and of :func:`merge`.

    Args:
        rows: the rows.
        labels: see :func:`read_labels`; filled where two rows are one molecule, see :func:`merge`.
        max_heavy_atoms: the largest molecule that is used.
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
        if reason := why_no_labels(rows, i):
            reasons[i] = reason
        else:
            seen[rows.same_molecule(smiles)].append(i)
    for members in seen.values():
        reasons |= merge(rows, labels, members)
    return reasons


def as_text(smiles: str | None) -> str:
    """What ``rejects.csv`` shows of a text from outside: not too much, and nothing that a spreadsheet would run."""
    text = shortened(smiles or "")
    return f"'{text}" if text.startswith(FORMULA) else text


def find_doubles(smiles: Sequence[str]) -> list[tuple[int, int]]:
    """Ids of molecules that stand before in another spelling, and of the first of these."""
    progress, first, doubles = Progress("find doubles", "mol", len(smiles)), {}, []
    for molecule, text in enumerate(smiles):
        progress.advance()
        same_as = first.setdefault(identify(text), molecule)
        if same_as != molecule:
            doubles.append((molecule, same_as))
    return doubles


def write_rows(path: str | os.PathLike, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file in one step."""
    with atomic_path(path).open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    commit(path)


def write_dataset(
    rows: Rows,
    units: dict[str, str],
    molecules: str | os.PathLike,
    rejects: str | os.PathLike,
    geometry: str | os.PathLike,
    doubles: str | os.PathLike,
    max_heavy_atoms: int | None = None,
) -> None:
    """Check ``rows`` and write the molecules table, ``rejects.csv``, the geometry table and ``doubles.csv``.

    Rejects have the columns ``line`` or ``row``, as the rows count, ``smiles`` and ``reason``. The geometry table has
    the positions that the source brings, atoms in the source's order; else it is empty. Doubles are molecules
    of the table that are one molecule in two spellings, which a source that goes by the text may have.
    """
    labels = read_labels(rows)
    reasons = find_rejects(rows, labels, max_heavy_atoms)
    usable = np.array([i for i in range(len(rows.row)) if i not in reasons], dtype=np.int64)
    kept = rows.take(usable)
    if not len(kept.row):
        place, reason = next(
            ((f" ({rows.counts} {rows.row[i]})", why) for i, why in sorted(reasons.items())), ("", "there are no rows")
        )
        where = rows.file or molecules
        raise ContractError(
            f"{where}: no usable row in the source; the first reason{place}: {reason}; mend the rows, or name other "
            f"columns (`smiles_column`, each property's `column`) in {DATASET_ENTRY}"
        )
    rejected = [(rows.row[i], as_text(rows.smiles[i]), reason) for i, reason in sorted(reasons.items())]
    write_rows(rejects, (rows.counts, *REJECTS), rejected)
    values = {name: column[usable] for name, column in labels.items()}
    for name, column in values.items():
        check_scale(f"{rows.file or molecules}: property '{name}'", column[~np.isnan(column)])
    origin = None if kept.file is None else Origin(kept.file, kept.counts, kept.row)
    smiles = [kept.written(text) for text in kept.smiles]
    write_molecules(molecules, smiles, values, units, origin)
    write_rows(doubles, DOUBLES, () if kept.same_molecule is identify else find_doubles(smiles))
    if kept.geometry is None:
        table = GEOMETRY.empty()
    else:
        table = kept.geometry(kept.row).add_column(0, "molecule_id", pa.array(np.arange(len(kept.row))))
    write_table(table, geometry, GEOMETRY)
