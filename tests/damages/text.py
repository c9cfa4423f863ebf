"""Damage to the text of a table: its separators, marks, ends of lines, quotation marks, and lines that are no rows."""

import csv

import numpy as np

from damages.tables import (
    FILE,
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

MEND = "mend the line"
OTHER_ENDS = "\v\f\x1c\x85\u2028\u2029"  # what ends a line to Python's str.splitlines, and not in a table
MARK = "set `decimal` to '.' or ','"


def with_commas(good: Table) -> Table:
    """The table with decimal commas."""
    return good.with_cells(LABEL, {i: row[LABEL].replace(".", ",") for i, row in enumerate(good.rows)})


def separator(good: Table, random: np.random.Generator) -> Variant:
    """other separators, found, declared or set"""
    mark, word = pick(random, ((";", ";"), ("\t", "tab"), ("\t", "\\t"), ("|", "|"), (",", ",")))
    first, quoting = pick(random, ("", f"sep={mark}\n", f"SEP={mark}\r\n", f'"sep={mark}"\n')), pick(random, (0, 1))
    keys = pick(random, ({}, {"separator": word}))
    return Variant(Same(), first + good.write(mark, quoting=quoting), make_config(**keys))


def wrong_separator(good: Table, random: np.random.Generator) -> Variant:
    """a separator that is another than what is set, or that nobody looks for"""
    mark, keys = pick(
        random,
        ((",", {"separator": ";"}), (";", {"separator": ","}), ("\t", {"separator": "|"}), (":", {}), ("~", {})),
    )
    return Variant(Refused(f"{FILE}: no column 'SMILES'", "set `separator`"), good.write(mark), make_config(**keys))


def decimal_comma(good: Table, random: np.random.Generator) -> Variant:
    """decimal commas"""
    mark, keys = pick(random, (";", "\t", "|", ",")), pick(random, ({}, {"decimal": ","}))
    return Variant(Same(), with_commas(good).write(mark), make_config(**keys))


def decimal_comma_without_quotes(good: Table, random: np.random.Generator) -> Variant:
    """decimal commas between commas, without quotation marks"""
    rows = pick_rows(random, good, len(good.rows))
    lines = good.lines()
    for row in rows:
        lines[line_of(row) - 1] = lines[line_of(row) - 1].replace(".", ",")
    return Variant(Refused(at_line(line_of(rows[0])), "needs quotation marks around it"), "\n".join(lines))


def doubtful_mark(good: Table, random: np.random.Generator) -> Variant:
    """decimal commas and points, or commas that may be those of thousands"""
    if random.random() < 0.3:
        thousands = {i: f"{float(row[LABEL]) * 1000:,.0f}".replace("-0", "0") for i, row in enumerate(good.rows)}
        first = next(row for row, text in thousands.items() if "," in text)
        seen, damaged = f"line {line_of(first)} has '{thousands[first]}'", good.with_cells(LABEL, thousands)
    else:
        rows = pick_rows(random, good, len(good.rows) // 2)
        seen = f"line {line_of(rows[0])} has '"
        damaged = good.with_cells(LABEL, {row: good.rows[row][LABEL].replace(".", ",") for row in rows})
    return Variant(Refused(f"{FILE}: which mark is the decimal one is not plain: {seen}", MARK), damaged.write())


def other_mark(good: Table, random: np.random.Generator) -> Variant:
    """some labels with another mark than the one that is set"""
    rows = pick_rows(random, good)
    mark = pick(random, (".", ","))
    table, other = (good, ",") if mark == "." else (with_commas(good), ".")
    damaged = table.with_cells(LABEL, {row: table.rows[row][LABEL].replace(mark, other) for row in rows})
    outcome = Same(dict.fromkeys(map(line_of, rows), "y is not a finite number"), frozenset(rows))
    return Variant(outcome, damaged.write(), make_config(decimal=mark))


def line_ends(good: Table, random: np.random.Generator) -> Variant:
    """other ends of lines, mixed ones, none at the end, and what is one to other programs alone"""
    notes = good.with_cells(NOTE, {row: pick(random, OTHER_ENDS).join("ab") for row in pick_rows(random, good)})
    ends = pick(random, (["\r"], ["\r\n"], ["\r\r\n"], ["\n\r"], ["\n", "\r\n"], ["\n", "\r", "\r\n"]))
    text = "".join(line + pick(random, ends) for line in notes.lines())
    return Variant(Same(), pick(random, (text, text.rstrip("\r\n"), text + ends[0] * 3)))


def quotes(good: Table, random: np.random.Generator) -> Variant:
    """quotation marks around cells, and newlines, separators and marks within them"""
    cells = ('5" pipe', "two\nlines", "two\r\n\r\nlines", "a, b; c\td|e", '"', '""', "'", "\n", "sep=;")
    damaged = good.with_cells(NOTE, {row: pick(random, cells) for row in pick_rows(random, good)})
    damaged = damaged.with_cells(NAME, {row: pick(random, cells) for row in pick_rows(random, good)})
    return Variant(
        Same(), damaged.write(quoting=pick(random, (csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC)))
    )


def open_quote(good: Table, random: np.random.Generator) -> Variant:
    """a quotation mark that is never closed, or with text behind it"""
    row, column = int(random.integers(len(good.rows))), pick(random, (NAME, SMILES, LABEL, NOTE))
    text = good.rows[row][column]
    cells = list(good.rows[row])
    cells[column] = pick(random, (f'"{text}', f'"{text}"{text}', f'"{text}" '))
    lines = good.lines()
    lines[line_of(row) - 1] = ",".join(cells)
    return Variant(Refused(at_line(line_of(row)), "put one at both ends of the cell"), "\n".join(lines))


def blank_lines(good: Table, random: np.random.Generator) -> Variant:
    """lines without text, at the top, between rows and at the end"""
    lines = good.lines()
    for _ in range(random.integers(1, 10)):
        lines.insert(
            random.integers(len(lines) + 1), pick(random, ("", " ", "\t", ",,,", " , , , ", "\u00a0", '"",,,', ","))
        )
    return Variant(Same(), "\n".join(lines) + "\n")


def comment(good: Table, random: np.random.Generator) -> Variant:
    """a comment between the rows"""
    row, lines = int(random.integers(len(good.rows))), good.lines()
    lines.insert(line_of(row) - 1, pick(random, ("# page 2", "## ", "// made by hand", "(continued)", "-----")))
    return Variant(Refused(at_line(line_of(row)), MEND), "\n".join(lines))


def title(good: Table, random: np.random.Generator) -> Variant:
    """titles and comments above the names of the columns"""
    mark = pick(random, (",", ";", "\t"))
    titles = [
        pick(
            random,
            (
                "# made by hand",
                "Table S1",
                "Table S1: enthalpies, in kcal/mol",
                f"Table S1{mark * 3}",
                "Date: 1.2.2024",
            ),
        )
        for _ in range(random.integers(1, 6))
    ]
    place, remedy = (
        f"{FILE}: no column 'SMILES'",
        f"line {len(titles) + 1} has all columns: remove what stands above it",
    )
    return Variant(Refused(place, remedy), "\n".join([*titles, good.write(mark)]))


def trailing_separators(good: Table, random: np.random.Generator) -> Variant:
    """separators at the end of all lines"""
    mark = pick(random, (",", ";", "\t"))
    return Variant(Same(), "".join(f"{line}{mark * 2}\n" for line in good.lines(separator=mark)))


def uneven_rows(good: Table, random: np.random.Generator) -> Variant:
    """rows of more or fewer cells than there are names"""
    rows = pick(random, (pick_rows(random, good), range(len(good.rows))))
    lines = good.lines()
    change = pick(random, (lambda line: line + ",", lambda line: line.rsplit(",", 1)[0], lambda line: f"1,{line}"))
    for row in rows:
        lines[line_of(row) - 1] = change(lines[line_of(row) - 1])
    return Variant(Refused(at_line(line_of(rows[0])), MEND), "\n".join(lines))


def wrapped_row(good: Table, random: np.random.Generator) -> Variant:
    """a row broken in two lines, or two rows in one line"""
    row, lines = int(random.integers(len(good.rows) - 1)), good.lines()
    line = lines[line_of(row) - 1]
    at = pick(random, [i for i, character in enumerate(line) if character == ","][:-1]) + random.integers(2)
    broken = [line[:at], line[at:]]
    if random.random() < 0.5:
        broken = [line + lines.pop(line_of(row))]
    lines[line_of(row) - 1 : line_of(row)] = broken
    return Variant(Refused(at_line(line_of(row)), MEND), "\n".join(lines))


def joined_files(good: Table, random: np.random.Generator) -> Variant:
    """two files of the same columns, one behind the other, with the names of the columns twice"""
    cut = int(random.integers(1, len(good.rows)))
    lines = good.lines()
    lines.insert(cut + 1, lines[0])
    return Variant(Same({cut + 2: "RDKit cannot parse the SMILES"}), "\n".join(lines))
