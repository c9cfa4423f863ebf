"""Raw rows of a source, and their way into the molecules table: sampled, checked, rejected with a reason."""

import csv
import logging
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from boomlib.contracts import DOUBLES, GEOMETRY, REJECTS, Origin, write_molecules, write_table
from boomlib.datasets.columns import Counts
from boomlib.datasets.labels import as_number, check_scale, is_missing, shortened, why_no_label
from boomlib.files import DATASET_ENTRY, ContractError, atomic_path, commit
from boomlib.progress import Progress
from boomlib.smiles import identify

logger = logging.getLogger(__name__)

LONGEST_SMILES = 2000  # characters; RDKit's canonical SMILES overflows the stack on chains of 20,000 atoms
MERGED = re.compile(r"merged into (line|row) \d+(;|$)")  # the reason of a row whose molecule stands there before
PARTLY = "; the other labels are used"  # ends the reason of a row without some labels
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
        densities: the properties that are more than 0.
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
    densities: frozenset[str] = frozenset()

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
    """The labels by property, float64 [n]; NaN where there is no finite number."""
    return {
        # None becomes NaN
        name: np.array([as_number(value, rows.decimal) for value in column], dtype=np.float64)
        for name, column in rows.values.items()
    }


@dataclass(frozen=True)
class Checked:
    """What each row brings.

    Attributes:
        labels: by property, float64 [n]; NaN where there is none. Of rows that are one molecule the first has all.
        rejected: why rows stand for no molecule, by their index.
        merged: the row, by index, that has the molecule and the labels of another.
        lost: which labels of a row cannot be used, and why, by its index; the others are.
    """

    labels: dict[str, np.ndarray]
    rejected: dict[int, str]
    merged: dict[int, int]
    lost: dict[int, list[str]]


def check_labels(rows: Rows, checked: Checked, i: int) -> None:
    """Leave out the labels of row ``i`` that cannot be used, and the row if none is left."""
    for name, column in rows.values.items():
        reason = why_no_label(column[i], rows.decimal, name in rows.densities)
        if reason and not is_missing(column[i]):
            checked.labels[name][i] = np.nan
            checked.lost.setdefault(i, []).append(f"{name} {reason}")
    if all(np.isnan(column[i]) for column in checked.labels.values()):
        checked.rejected[i] = "; ".join(checked.lost.pop(i, [f"no label ({', '.join(rows.values)})"]))


def merge_labels(rows: Rows, checked: Checked, members: Sequence[int]) -> None:
    """Make one molecule of the rows (their indices) that are the same.

    The first takes the labels that it lacks from the others. A property of which they have different labels has none.
    """
    first, others = members[0], members[1:]
    differing = []
    for name, column in checked.labels.items():
        known = [i for i in members if not np.isnan(column[i])]
        if len({column[i] for i in known}) > 1:
            differing.append(f"{name} differs in {rows.counts}s {', '.join(str(rows.row[i]) for i in known)}")
            column[first] = np.nan
        else:
            column[first] = column[known[0]] if known else np.nan
    if all(np.isnan(column[first]) for column in checked.labels.values()):
        checked.rejected.update(dict.fromkeys(members, f"the same molecule, but {'; '.join(differing)}"))
        return
    checked.merged.update(dict.fromkeys(others, first))
    if differing:
        checked.lost.setdefault(first, []).extend(differing)


def check_rows(rows: Rows, max_heavy_atoms: int | None = None) -> Checked:
    """Find what each row brings; ``max_heavy_atoms`` is the largest molecule that is used."""
    from rdkit import RDLogger

    RDLogger.DisableLog("rdApp.*")
    checked, seen = Checked(read_labels(rows), {}, {}, {}), defaultdict(list)
    progress = Progress("check molecules", "mol", len(rows.smiles))
    for i, smiles in enumerate(rows.smiles):
        progress.advance()
        if reason := why_no_molecule(smiles, max_heavy_atoms) if smiles else "no SMILES":
            checked.rejected[i] = reason
            continue
        check_labels(rows, checked, i)
        if i not in checked.rejected:
            seen[rows.same_molecule(smiles)].append(i)
    for members in seen.values():
        if len(members) > 1:
            merge_labels(rows, checked, members)
    return checked


def list_unused(rows: Rows, checked: Checked) -> dict[int, str]:
    """What of each row is not used and why, by index: all of it, its molecule, which another row has, or labels."""
    merged = {i: f"merged into {rows.counts} {rows.row[first]}" for i, first in checked.merged.items()}
    lost = {i: "; ".join(reasons) for i, reasons in checked.lost.items() if i not in checked.rejected}
    partly = {i: f"{merged[i]}; {reason}" if i in merged else f"{reason}{PARTLY}" for i, reason in lost.items()}
    return dict(sorted((checked.rejected | merged | partly).items()))


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

    Rejects (:func:`list_unused`) have the columns ``line`` or ``row``, as the rows count, ``smiles`` and ``reason``.
    The geometry table has the positions that the source brings, atoms in the source's order; else it is empty. Doubles
    are molecules of the table that are one molecule in two spellings, which a source that goes by the text may have.
    """
    checked, where = check_rows(rows, max_heavy_atoms), rows.file or molecules
    gone = checked.rejected.keys() | checked.merged.keys()
    usable = np.array([i for i in range(len(rows.row)) if i not in gone], dtype=np.int64)
    kept, unused = rows.take(usable), list_unused(rows, checked)
    if not len(kept.row):
        place, reason = next(
            ((f" ({rows.counts} {rows.row[i]})", why) for i, why in unused.items()), ("", "there are no rows")
        )
        raise ContractError(
            f"{where}: no usable row in the source; the first reason{place}: {reason}; mend the rows, or name other "
            f"columns (`smiles_column`, each property's `column`) in {DATASET_ENTRY}"
        )
    write_rows(
        rejects, (rows.counts, *REJECTS), [(rows.row[i], as_text(rows.smiles[i]), why) for i, why in unused.items()]
    )
    if unused:
        logger.info(
            "%s: of %d rows %d are rejected, %d merged with others, and %d lack labels that cannot be used: see %s",
            *(where, len(rows.row), len(checked.rejected), len(checked.merged), len(checked.lost), rejects),
        )
    values = {name: column[usable] for name, column in checked.labels.items()}
    for name, column in values.items():
        check_scale(f"{where}: property '{name}'", column[~np.isnan(column)])
    origin = None if kept.file is None else Origin(kept.file, kept.counts, kept.row)
    smiles = [kept.written(text) for text in kept.smiles]
    write_molecules(molecules, smiles, values, units, origin)
    write_rows(doubles, DOUBLES, () if kept.same_molecule is identify else find_doubles(smiles))
    if kept.geometry is None:
        table = GEOMETRY.empty()
    else:
        table = kept.geometry(kept.row).add_column(0, "molecule_id", pa.array(np.arange(len(kept.row))))
    write_table(table, geometry, GEOMETRY)
