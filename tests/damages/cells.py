"""Damage to SMILES and labels."""

import csv
from collections.abc import Sequence

import numpy as np
from rdkit import Chem

from damages.tables import FILE, LABEL, SMILES, Refused, Same, Table, Variant, line_of, make_config, pick, pick_rows

NO_NUMBER = "y is not a finite number"
# labels that are none; a spreadsheet, an instrument or a hand leaves them
NO_LABELS = (
    *("inf", "-inf", "Infinity", "1e999", "1,234.5", "12 kcal/mol", "-48.0 kcal", "<5", "~3", "5±1", "5(1)"),
    *("\u221248.3", "--", "?", "-", ".", "+", "e5", "1.5.2", "1_000", "0x1F", "1d5", "2024-01-31", "TRUE", "#DIV/0!"),
    *(
        "#REF!",
        "x" * 3000,
        "missing",
        "=1+1",
        "1 000",
        "1'000",
        "\u00bd",
        "5e",
        "1e5e5",
        "$5",
        "5%",
        "[5]",
        "not measured",
    ),
)
MISSING = ("", " ", "NA", "n/a", "NaN", "nan", "null", "None", "#N/A", "\t", "\u00a0")
# texts in place of a SMILES, {}, by the reason why their row goes
NO_SMILES = {
    "RDKit cannot parse the SMILES": (
        *("{}(", "{})", "{}1", "{}=", "{}[", "{}]", "{}%12", "{}(=O", "{}[Xx]", "{}Q", "{}>>C", "{} |$R$", "[R]{}"),
        *(
            "({}",
            "C(C)(C)(C)(C){}",
            "c1cccc1{}",
            "F(C){}",
            "=HYPERLINK(1){}",
            "'{}'",
            "{},",
            "{};",
            "{{}}",
            "0",
            "-1.5",
        ),
        *("InChI=1S/CH4/h1H4", "VNWKTOKETHGBQD-UHFFFAOYSA-N", "n/a", "ethanol", "64-17-5"),
    ),
    "there is more than a SMILES": ("{} ethanol", "{} 12", "{}   N", "{} # checked"),
    "an atom of no element": ("*.{}", "{}.[*:1]"),
    "a control character": ("C\tC{}", "{}\x00", "{}\x1b"),
    "which is no character of ASCII": ("{}\u200b", "\ufeff{}", "C\u00a0{}"),
}


def respell(smiles: str, random: np.random.Generator) -> str:
    """Another SMILES of a molecule, with its atoms in random order."""
    mol = Chem.MolFromSmiles(smiles)
    mol = Chem.RenumberAtoms(mol, random.permutation(mol.GetNumAtoms()).tolist())
    options = pick(random, ({}, {"allBondsExplicit": True}, {"allHsExplicit": True}, {"kekuleSmiles": True}))
    if "kekuleSmiles" in options:
        Chem.Kekulize(mol, clearAromaticFlags=True)
    return Chem.MolToSmiles(mol, canonical=False, **options)


def respelled(good: Table, random: np.random.Generator) -> Variant:
    """SMILES in any spelling, not only RDKit's"""
    rows = pick_rows(random, good, len(good.rows))
    return Variant(
        Same(), good.with_cells(SMILES, {row: respell(good.rows[row][SMILES], random) for row in rows}).write()
    )


def blanks_around(good: Table, random: np.random.Generator) -> Variant:
    """blanks around SMILES and labels"""
    damaged = good
    for column in (SMILES, LABEL):
        cells = {
            row: pick(random, (" {}", "{} ", "\t{}", "{}\u00a0", "  {}  ", "{}\n", "\u3000{}")).format(
                good.rows[row][column]
            )
            for row in pick_rows(random, good, len(good.rows))
        }
        damaged = damaged.with_cells(column, cells)
    return Variant(Same(), damaged.write())


def atom_maps(good: Table, random: np.random.Generator) -> Variant:
    """numbers on atoms, as of a reaction"""
    cells = {}
    for row in pick_rows(random, good, len(good.rows)):
        mol = Chem.MolFromSmiles(good.rows[row][SMILES])
        for atom in mol.GetAtoms():
            if random.random() < 0.5 or atom.GetIdx() == 0:
                atom.SetAtomMapNum(int(random.integers(1, 999)))
        cells[row] = Chem.MolToSmiles(mol, canonical=bool(random.integers(2)))
    return Variant(Same(), good.with_cells(SMILES, cells).write())


def reject_rows(good: Table, random: np.random.Generator, column: int, cells: Sequence[tuple[str, str]]) -> Variant:
    """Put one of ``cells``, each with the reason why its row goes, into a column of some rows; {} is what is there."""
    rows = pick_rows(random, good)
    drawn = {row: pick(random, cells) for row in rows}
    damaged = good.with_cells(column, {row: text.format(good.rows[row][column]) for row, (text, _) in drawn.items()})
    return Variant(
        Same({line_of(row): reason for row, (_, reason) in drawn.items()}, frozenset(rows)), damaged.write()
    )


def broken_smiles(good: Table, random: np.random.Generator) -> Variant:
    """SMILES that are none, or of something that is no molecule"""
    return reject_rows(good, random, SMILES, [(text, reason) for reason, texts in NO_SMILES.items() for text in texts])


def foreign_smiles(good: Table, random: np.random.Generator) -> Variant:
    """SMILES with a character of another alphabet, or a mark, before or behind them"""
    characters = "\u0421\u041e\u039d\u2026\u201c\u00e9\u00ae\u00b2\u2192\uff23\u6c34"
    texts = [text for each in characters for text in (f"{each}{{}}", f"{{}}{each}", f"{{}}.C{each}", f"{each}C.{{}}")]
    return reject_rows(good, random, SMILES, [(text, "which is no character of ASCII") for text in texts])


def empty_smiles(good: Table, random: np.random.Generator) -> Variant:
    """rows without a SMILES"""
    return reject_rows(good, random, SMILES, [(text, "no SMILES") for text in ("", " ", "\t", "\u00a0")])


def huge_smiles(good: Table, random: np.random.Generator) -> Variant:
    """SMILES that are too long, or of molecules that are too large"""
    long, large = "characters, more than 2,000", "atoms besides hydrogen, more than `max_heavy_atoms`"
    n = int(random.integers(201, 780))
    return reject_rows(
        good,
        random,
        SMILES,
        (
            ("C" * int(random.integers(2001, 100_000)), long),
            ("C(" * 50_000 + "C" + ")" * 50_000, long),
            ("{}" + "C" * 2000, long),
            ("C" * n, large),
            ("C(" * (n // 2) + "C" * n + ")" * (n // 2), large),
            (".".join(["O"] * n), large),
            ("c1ccccc1" * 60, large),
        ),
    )


def broken_label(good: Table, random: np.random.Generator) -> Variant:
    """labels that are no numbers, or none that a metric can hold"""
    beyond = ("1e300", "-1e300", "1e31", "-7e30", "9" * 31)
    cells = [(text, NO_NUMBER) for text in NO_LABELS] + [(text, "beyond") for text in beyond]
    return reject_rows(good, random, LABEL, cells)


def missing_label(good: Table, random: np.random.Generator) -> Variant:
    """rows without a label"""
    return reject_rows(good, random, LABEL, [(text, r"no label \(y\)") for text in MISSING])


def respelled_label(good: Table, random: np.random.Generator) -> Variant:
    """labels in any spelling"""
    rows = pick_rows(random, good, len(good.rows))
    cells = {}
    for row in rows:
        text = good.rows[row][LABEL]
        value = float(text)
        cells[row] = pick(
            random, (f"{value:.8e}", f"{value:.8E}", f"{text}000", f"-00{text[1:]}", f"{value * 1e4:.0f}e-4")
        )
    quoting = pick(random, (csv.QUOTE_MINIMAL, csv.QUOTE_ALL))
    return Variant(Same(), good.with_cells(LABEL, cells).write(quoting=quoting))


def other_unit(good: Table, random: np.random.Generator) -> Variant:
    """labels in another unit"""
    scale, unit = pick(
        random,
        (
            (4184.0, "J/mol"),
            (4.184, "kJ/mol"),
            (1 / 627.5094740631, "Hartree"),
            (2.6e22, "eV/mol"),
            (-1.0, "-kcal/mol"),
            (1e-25, "?"),
        ),
    )
    cells = {i: repr(float(row[LABEL]) * scale) for i, row in enumerate(good.rows)}
    return Variant(Same(scale=scale), good.with_cells(LABEL, cells).write(), make_config(properties={"unit": unit}))


def extreme_unit(good: Table, random: np.random.Generator) -> Variant:
    """labels in a unit in which all are too small or too large for a metric"""
    too_small = Refused(f"{FILE}: property 'y': all labels lie within", "give them in another unit")
    too_large = Refused(f"{FILE}: no usable row", "(line 2): y is -")
    scale, outcome = pick(random, ((1e-40, too_small), (1e-300, too_small), (1e31, too_large), (1e300, too_large)))
    cells = {i: repr(float(row[LABEL]) * scale) for i, row in enumerate(good.rows)}
    return Variant(outcome, good.with_cells(LABEL, cells).write())


def thousands(good: Table, random: np.random.Generator) -> Variant:
    """all labels with marks of thousands"""
    style = pick(random, ("{:,.2f}", "{:_.2f}"))
    cells = {i: style.format(float(row[LABEL]) * 4184) for i, row in enumerate(good.rows)}
    if random.random() < 0.5:
        cells = {i: text.translate(str.maketrans(",._", ".,.")) for i, text in cells.items()}
    return Variant(Refused(f"{FILE}: no usable row", NO_NUMBER), good.with_cells(LABEL, cells).write())
