"""Damage to the names of the columns, and to which rows there are and in which order."""

import csv

import numpy as np

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
    line_of,
    make_config,
    pick,
    pick_rows,
)

SET = "set `smiles_column` and each property's `column`"


def header_spelt(good: Table, random: np.random.Generator) -> Variant:
    """blanks and quotation marks around the names of the columns"""
    around = ("{}", " {}", "{} ", "\t{} ", "\u00a0{}", '"{}"', '" {} "', "{}  ")
    header = [pick(random, around).format(name) for name in HEADER]
    keys = {"smiles_column": pick(random, ("SMILES", " SMILES", "SMILES "))}
    return Variant(Same(), "\n".join([",".join(header), *good.lines()[1:]]), make_config(**keys))


def header_wrong(good: Table, random: np.random.Generator) -> Variant:
    """a column that is not there, or there under another name"""
    column = pick(random, (SMILES, LABEL))
    name = HEADER[column]
    other = pick(
        random,
        (
            name.swapcase(),
            f"{name}s",
            f"{name}_",
            f"{name}.1",
            "",
            f"{name} (a)",
            f"\u200b{name}",
            name.replace("S", "5") + "5",
        ),
    )
    header = list(HEADER)
    header[column] = other
    return Variant(Refused(f"{FILE}: no column '{name}' (it has:", SET), Table(tuple(header), good.rows).write())


def header_lost(good: Table, random: np.random.Generator) -> Variant:
    """no line of names"""
    return Variant(Refused(f"{FILE}: no column 'SMILES' (it has: m0,", SET), "\n".join(good.lines()[1:]))


def double_column(good: Table, random: np.random.Generator) -> Variant:
    """a column that is there twice"""
    column, twin = pick(random, (SMILES, LABEL)), pick(random, (NAME, NOTE))
    header = list(HEADER)
    header[twin] = HEADER[column]
    return Variant(
        Refused(f"{FILE}: more than one column '{HEADER[column]}'", SET), Table(tuple(header), good.rows).write()
    )


def other_columns(good: Table, random: np.random.Generator) -> Variant:
    """further columns of any name, and columns in another order"""
    names = ["", "", "note", "Unnamed: 0", "smiles", "Y", "y.1", "molecule_id", "größe, in m", "fold", "source line"]
    extra = random.choice(names, size=random.integers(0, len(names) + 1), replace=False).tolist()
    cells = [[pick(random, ("", "1", "x", "NaN", "a,b", "1e999")) for _ in extra] for _ in good.rows]
    order = random.permutation(len(HEADER) + len(extra)).tolist()
    rows = [(*HEADER, *extra), *((*row, *more) for row, more in zip(good.rows, cells, strict=True))]
    header, *others = (tuple(row[i] for i in order) for row in rows)
    return Variant(
        Same(), Table(header, tuple(others)).write(quoting=pick(random, (csv.QUOTE_MINIMAL, csv.QUOTE_ALL)))
    )


def shuffled(good: Table, random: np.random.Generator) -> Variant:
    """rows in another order"""
    rows = tuple(good.rows[i] for i in random.permutation(len(good.rows)))
    return Variant(Same(ordered=False), Table(good.header, rows).write())


def insert_copies(
    good: Table, random: np.random.Generator, copies: list[tuple[int, tuple[str, ...]]]
) -> tuple[Table, list[int], dict[int, list[int]]]:
    """Insert rows, each anywhere behind the good one that it is made of.

    Returns:
        The table, the line of each inserted row, and of each good row that has copies its line and theirs.
    """
    rows = [(i, row) for i, row in enumerate(good.rows)]
    for source, cells in copies:
        behind = next(at for at, (i, _) in enumerate(rows) if i == source)
        rows.insert(int(random.integers(behind + 1, len(rows) + 1)), (source, cells))
    lines: dict[int, list[int]] = {}
    for at, (i, _) in enumerate(rows):
        lines.setdefault(i, []).append(line_of(at))
    inserted = [line for each in lines.values() for line in each[1:]]
    return Table(good.header, tuple(cells for _, cells in rows)), inserted, {i: lines[i] for i, _ in copies}


def repeated(good: Table, random: np.random.Generator) -> Variant:
    """rows that repeat others"""
    copies = []
    for row in [pick(random, pick_rows(random, good)) for _ in range(random.integers(1, 8))]:
        name, smiles, label, note = good.rows[row]
        same = pick(random, (label, f"{label}0", f"{float(label) * 10:.3f}e-1", f" {label}"))
        copies.append((row, (name, pick(random, (smiles, f" {smiles}", f"({smiles})"[1:-1])), same, note)))
    table, _, lines = insert_copies(good, random, copies)
    return Variant(
        Same({line: f"merged into line {first}$" for first, *more in lines.values() for line in more}), table.write()
    )


def contradicting(good: Table, random: np.random.Generator) -> Variant:
    """rows that say something else of a molecule than others"""
    copies = []
    for row in pick_rows(random, good):
        name, smiles, label, note = good.rows[row]
        other = pick(random, (f"{float(label) + 1e-4:.4f}", f"{-float(label)}", f"{label}1", "0"))
        copies += [(row, (name, smiles, other, note))] * random.integers(1, 3)
    table, _, lines = insert_copies(good, random, copies)
    rejects = {
        line: f"the same molecule, but y differs in lines {', '.join(map(str, each))}$"
        for each in lines.values()
        for line in each
    }
    return Variant(Same(rejects, frozenset(lines)), table.write())
