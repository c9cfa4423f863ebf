"""Predict molecules of a file with kept models: python -m boomlib.predict RUN_FOLDER [RUN_FOLDER …] molecules.csv

Every row is written, in order and with the file's own columns: behind them the predictions in native units, and in
``note`` the reason where there is none. The file may have any size: memory holds a part of it.
"""

import argparse
import csv
import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from boomlib.datasets.columns import read_values
from boomlib.datasets.formats import PARQUET
from boomlib.datasets.stream import MoleculeFile
from boomlib.evaluation.conformal import combine_seeds
from boomlib.files import ContractError, atomic_path, commit
from boomlib.harness.keeping import DECISIVE
from boomlib.harness.kept import KeptModel, KeptPrediction, read_kept
from boomlib.harness.unseen import NewMolecules
from boomlib.progress import Progress

NEUTRAL = "asks models that are fitted"

CHUNK = 2000  # molecules that are predicted at once
# of a group of rows of a Parquet file, which is written once there are so many, or bytes
ROWS, BYTES = 2**16, 2**26
SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": ","}  # by the ending of the name of a file that is written
NOTE = "note"
# of a model in the order of preference: the first by which no two columns are the same
NAMES = ("{model}", "{property}_{model}", "{dataset}_{property}_{scheme}_{model}")
ENDS = ("", "_std", "_spread", "_low", "_high", "_flags")  # of columns of a model, here and in screens
ALONE = "y_pred", "y_std", "y_spread"
KEY = ("dataset", "property", "scheme", "model")
SHARED = tuple(key for key in DECISIVE if key not in ("seed", "code"))  # what seeds of one model have in common


def group_seeds(kept: Sequence[KeptModel]) -> list[list[KeptModel]]:
    """Models in the order given, those together that differ in their seed alone.

    Raises:
        ContractError: one is given twice, or two of the same name differ in more than their seed.
    """
    groups: dict[tuple[str, ...], list[KeptModel]] = {}
    for each in kept:
        group = groups.setdefault(tuple(each.facts[key] for key in KEY), [])
        told, seed = f"{each.facts['label']} of {each.task}", each.facts["seed"]
        if group and (differing := [key for key in SHARED if each.facts[key] != group[0].facts[key]]):
            raise ContractError(f"{told}: runs differ in more than their seed: {', '.join(differing)}; ask them apart")
        if seed in [other.facts["seed"] for other in group]:
            raise ContractError(f"{told} with seed {seed} is given twice")
        group.append(each)
    return list(groups.values())


def name_columns(models: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    """Names of columns of each model: its prediction, its standard deviation, its spread over seeds.

    Args:
        models: of each model :data:`KEY`.

    Raises:
        ContractError: whatever they are called, two columns have the same name.
    """
    if len(models) == 1:
        return [ALONE]
    for name in NAMES:
        names = [name.format(**each) for each in models]
        columns = Counter([NOTE, *(f"{each}{end}" for each in names for end in ENDS)])
        twice = [column for column, count in columns.items() if count > 1]
        if not twice:
            return [(each, f"{each}_std", f"{each}_spread") for each in names]
    whose = [each for each in names if twice[0].startswith(each)]
    raise ContractError(
        f"{' and '.join(whose)}: both would have a column '{twice[0]}'; rename the variant of one, or ask them apart"
    )


def combine(answers: Sequence[KeptPrediction], names: tuple[str, str, str]) -> dict[str, np.ndarray]:
    """The columns of a model by name, float64 [n]: the mean over its seeds, and where there are any deviations.

    The standard deviation is the model's own and that over seeds together
    (:func:`boomlib.evaluation.conformal.combine_seeds`); the spread is that over seeds alone, of a sample.
    """
    means = np.array([each.mean for each in answers])
    stds = [each.std for each in answers if each.std is not None]
    mean, std = combine_seeds(means, np.array(stds) if stds else None)
    columns = {names[0]: mean}
    if std is not None:
        columns[names[1]] = std
    if len(answers) > 1:
        columns[names[2]] = means.std(axis=0, ddof=1)
    return columns


def write_notes(n: int, told: Mapping[str, Mapping[int, str]]) -> list[str | None]:
    """What is told of each of ``n`` molecules in one text; a model is named, by its column, where not all say it."""
    notes: list[str | None] = [None] * n
    for row in sorted({row for reasons in told.values() for row in reasons}):
        found = {name: reasons[row] for name, reasons in told.items() if row in reasons}
        if len(found) == len(told) and len(set(found.values())) == 1:
            notes[row] = next(iter(found.values()))
        else:
            notes[row] = "; ".join(f"{name}: {reason}" for name, reason in found.items())
    return notes


def ask(groups: Sequence[Sequence[KeptModel]], smiles: Sequence[str | None]) -> pa.Table:
    """What all models say of some molecules: the columns of :func:`combine` for each, and ``note``."""
    molecules, columns, told = NewMolecules(smiles), {}, {}
    for group, names in zip(groups, name_columns([group[0].facts for group in groups]), strict=True):
        answers = [each.predict(molecules) for each in group]
        columns |= combine(answers, names)
        remarks = {row: remark for each in answers for row, remark in each.remarks.items()}
        reasons = {row: reason for each in answers for row, reason in each.reasons.items()}
        told[names[0]] = remarks | reasons
    arrays = {name: pa.array(values, pa.float64(), from_pandas=True) for name, values in columns.items()}
    return pa.table(arrays | {NOTE: pa.array(write_notes(len(smiles), told), pa.string())})


class RowGroups:
    """Writes tables to Parquet in groups of :data:`ROWS` rows, or of fewer where these have :data:`BYTES` bytes."""

    def __init__(self, writer: pq.ParquetWriter) -> None:
        self.writer = writer
        self.held: list[pa.Table] = []

    def add(self, table: pa.Table) -> None:
        """Add the rows of a table."""
        self.held.append(table)
        if sum(map(len, self.held)) >= ROWS or sum(each.nbytes for each in self.held) >= BYTES:
            self.write()

    def write(self) -> None:
        """Write what is held."""
        if self.held:
            self.writer.write_table(pa.concat_tables(self.held))
            self.held = []


class Lines:
    """Writes tables as delimited text, with a line of the names above.

    Raises:
        ContractError: a value, of a Parquet file's, is no text; the message names its row.
    """

    def __init__(self, path: Path, stream: Any, names: Sequence[str]) -> None:
        self.path, self.row = path, 1
        self.lines = csv.writer(stream, delimiter=SEPARATORS[path.suffix.lower()], lineterminator="\n")
        self.lines.writerow(names)

    def add(self, table: pa.Table) -> None:
        """Add the rows of a table."""
        columns = zip(table.column_names, table.columns, strict=True)
        self.lines.writerows(zip(*(read_values(self.path, *each, self.row) for each in columns), strict=True))
        self.row += len(table)


def check_ending(path: Path) -> None:
    """Raise :class:`ContractError` unless the name of a file to write says what it will be."""
    if path.suffix.lower() not in (*SEPARATORS, *PARQUET):
        raise ContractError(f"{path}: written are {', '.join([*SEPARATORS, *PARQUET])}; name one of these")


@contextmanager
def writing(path: Path, schema: pa.Schema) -> Iterator[Callable[[pa.Table], None]]:
    """What writes tables of a schema below each other, Parquet or text by the name of the file; whole, or none."""
    if path.suffix.lower() in PARQUET:
        with pq.ParquetWriter(atomic_path(path), schema, compression="zstd") as writer:
            groups = RowGroups(writer)
            yield groups.add
            groups.write()
    else:
        with atomic_path(path).open("w", newline="", encoding="utf-8") as stream:
            yield Lines(path, stream, schema.names).add
    commit(path)


def check_names(molecules: MoleculeFile, names: Sequence[str]) -> None:
    """Raise :class:`ContractError` if a file has a column of one of the ``names`` that are written behind its own."""
    if taken := sorted(set(molecules.names) & set(names)):
        raise ContractError(
            f"{molecules.path}: its column '{taken[0]}' has the name of one that is written behind its own "
            f"({', '.join(names)}); rename it in the file"
        )


def check_molecules(molecules: MoleculeFile, names: Iterable[str]) -> int:
    """How many rows a file has, each of which is looked at.

    Args:
        molecules: the file.
        names: of the columns that are written behind its own.

    Raises:
        ContractError: it cannot be read, has no molecules, or has a column of one of the ``names`` itself.
    """
    check_names(molecules, names)
    n = molecules.count()
    if not n:
        raise ContractError(f"{molecules.path}: no molecules; the file is empty, or has a line of column names alone")
    return n


def predict_file(kept: Sequence[KeptModel], molecules: MoleculeFile, out: Path) -> tuple[int, int, str | None]:
    """Predict all molecules of a file.

    Args:
        kept: the models; those that differ in their seed alone become one column.
        molecules: the file.
        out: the file to write, CSV or Parquet by its name.

    Returns:
        How many rows there are, how many lack a prediction, and where nothing at all is predicted the first note.

    Raises:
        ContractError: the file cannot be read, or has a column of a name that is needed; or that of ``out``.
    """
    check_ending(out)
    if out.resolve() == molecules.path.resolve():
        raise ContractError(f"{out}: the file of molecules itself; write to another one")
    groups = group_seeds(kept)
    predictions = [names[0] for names in name_columns([group[0].facts for group in groups])]
    empty = ask(groups, [])
    n = check_molecules(molecules, empty.column_names)
    progress, lacking, predicted, first = Progress("predict", "mol", n), 0, 0, None
    schema = pa.schema([*molecules.schema, *empty.schema])
    with writing(out, schema) as write:
        for numbers, part in molecules.read_parts(CHUNK):
            said = ask(groups, molecules.read_smiles(numbers, part))
            write(pa.table([*part.columns, *said.columns], schema=schema))
            unsaid = np.array([said[name].is_null().to_numpy() for name in predictions])
            lacking += int(unsaid.any(axis=0).sum())
            predicted += int((~unsaid).sum())
            first = first or next(filter(None, said[NOTE].to_pylist()), None)
            progress.advance(len(said))
    return n, lacking, None if predicted else first


def main() -> None:
    """Predict as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m boomlib.predict", description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+", metavar="RUN_FOLDER", help="of runs with keep_models")
    parser.add_argument("molecules", type=Path, help="CSV, Parquet, or SMILES, one a line")
    parser.add_argument("--smiles-column", metavar="NAME", help="column of SMILES; `smiles` if not given")
    parser.add_argument(
        "--out", type=Path, default=Path("predictions.csv"), help=".csv, .tsv or .parquet (predictions.csv)"
    )
    parser.add_argument("--other-code", action="store_true", help="accept models that other code has made")
    arguments = parser.parse_args()
    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stderr)
    try:
        check_ending(arguments.out)
        known: dict[Path, KeptModel] = {}
        kept = [read_kept(folder, arguments.other_code, known) for folder in arguments.folders]
        molecules = MoleculeFile(arguments.molecules, arguments.smiles_column)
        n, lacking, reason = predict_file(kept, molecules, arguments.out)
    except (ContractError, OSError) as error:
        sys.exit(f"error: {error}")
    if reason:
        sys.exit(f"error: {arguments.out}: none of {n:,} rows has a prediction ({reason}); see the column {NOTE}")
    refused = (
        f"{lacking:,} of {n:,} molecules lack a prediction: see the column {NOTE}" if lacking else f"{n:,} molecules"
    )
    print(f"{arguments.out}: {refused}", file=sys.stderr)


if __name__ == "__main__":
    main()
