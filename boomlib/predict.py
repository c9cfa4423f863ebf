"""Predict molecules of a file with kept models: python -m boomlib.predict RUN_FOLDER [RUN_FOLDER …] molecules.csv

Every row is written, in order and with the file's own columns: behind them the predictions in native units, and in
``note`` the reason where there is none. The file may have any size: memory holds a part of it.
"""

import argparse
import csv
import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from boomlib.datasets.formats import PARQUET
from boomlib.datasets.stream import MoleculeFile
from boomlib.files import ContractError, atomic_path, commit
from boomlib.harness.kept import KeptModel, KeptPrediction, read_kept
from boomlib.harness.unseen import NewMolecules
from boomlib.progress import Progress

NEUTRAL = "asks models that are fitted"

CHUNK = 2000  # molecules that are predicted at once
NOTE = "note"
# of a model in the order of preference: the first that differs for all
NAMES = ("{model}", "{property}_{model}", "{dataset}_{property}_{scheme}_{model}")
ALONE = "y_pred", "y_std", "y_spread"


def group_seeds(kept: Sequence[KeptModel]) -> list[list[KeptModel]]:
    """Models in the order given, those together that differ in their seed alone.

    Raises:
        ContractError: one is given twice.
    """
    groups: dict[tuple[str, ...], list[KeptModel]] = {}
    for each in kept:
        group = groups.setdefault(tuple(each.facts[key] for key in ("dataset", "property", "scheme", "model")), [])
        if each.identity in [other.identity for other in group]:
            raise ContractError(f"{each.facts['label']} of {each.task} with seed {each.facts['seed']} is given twice")
        group.append(each)
    return list(groups.values())


def name_columns(groups: Sequence[Sequence[KeptModel]]) -> list[tuple[str, str, str]]:
    """Names of the columns of each group: its prediction, its standard deviation, its spread over seeds."""
    if len(groups) == 1:
        return [ALONE]
    found = [[name.format(**group[0].facts) for group in groups] for name in NAMES]
    chosen = next(names for names in found if len(set(names)) == len(names))
    return [(name, f"{name}_std", f"{name}_spread") for name in chosen]


def combine(answers: Sequence[KeptPrediction], names: tuple[str, str, str]) -> dict[str, np.ndarray]:
    """The columns of a model by name, float64 [n]: the mean over its seeds, and where there are any deviations.

    The model's own standard deviation is the root of its seeds' mean square; the spread over seeds is a sample's.
    """
    means = np.array([each.mean for each in answers])
    columns = {names[0]: means.mean(axis=0)}
    if all(each.std is not None for each in answers):
        columns[names[1]] = np.sqrt(np.mean([np.square(each.std) for each in answers], axis=0))
    if len(answers) > 1:
        columns[names[2]] = means.std(axis=0, ddof=1)
    return columns


def write_notes(n: int, told: Mapping[str, Mapping[int, str]]) -> list[str | None]:
    """Reasons of each of ``n`` molecules in one text; a model, by its column, is named where not all have the same."""
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
    for group, names in zip(groups, name_columns(groups), strict=True):
        answers = [each.predict(molecules) for each in group]
        columns |= combine(answers, names)
        told[names[0]] = {row: reason for each in answers for row, reason in each.reasons.items()}
    arrays = {name: pa.array(values, pa.float64(), from_pandas=True) for name, values in columns.items()}
    return pa.table(arrays | {NOTE: pa.array(write_notes(len(smiles), told), pa.string())})


@contextmanager
def writing(path: Path, schema: pa.Schema) -> Iterator[Callable[[pa.Table], None]]:
    """What writes tables of a schema below each other, Parquet or CSV by the name of the file; whole, or none."""
    if path.suffix.lower() in PARQUET:
        with pq.ParquetWriter(atomic_path(path), schema, compression="zstd") as writer:
            yield writer.write_table
    else:
        with atomic_path(path).open("w", newline="", encoding="utf-8") as stream:
            rows = csv.writer(stream, lineterminator="\n")
            rows.writerow(schema.names)
            yield lambda table: rows.writerows(zip(*(column.to_pylist() for column in table.columns), strict=True))
    commit(path)


def check_names(molecules: MoleculeFile, names: Iterable[str]) -> None:
    """Raise :class:`ContractError` if a file has a column of one of the ``names`` that are written behind its own."""
    if taken := sorted(set(molecules.names) & set(names)):
        raise ContractError(f"{molecules.path}: has a column '{taken[0]}' itself, as what is written has; rename it")


def predict_file(kept: Sequence[KeptModel], molecules: MoleculeFile, out: Path) -> tuple[int, int]:
    """Predict all molecules of a file.

    Args:
        kept: the models; those that differ in their seed alone become one column.
        molecules: the file.
        out: the file to write, CSV or Parquet by its name.

    Returns:
        How many rows there are, and how many have a note.

    Raises:
        ContractError: the file cannot be read, or has a column of a name that is needed.
    """
    groups, n = group_seeds(kept), molecules.count()
    empty = ask(groups, [])
    check_names(molecules, empty.column_names)
    if out.resolve() == molecules.path.resolve():
        raise ContractError(f"{out}: the file of molecules itself; write to another one")
    progress, noted = Progress("predict", "mol", n), 0
    first = next(iter(molecules.read_parts(1)), None)
    if first is None:
        raise ContractError(f"{molecules.path}: no molecules; the file has a line of column names alone")
    with writing(out, pa.schema([*first.schema, *empty.schema])) as write:
        for part in molecules.read_parts(CHUNK):
            said = ask(groups, molecules.read_smiles(part))
            write(pa.table([*part.columns, *said.columns], schema=pa.schema([*part.schema, *empty.schema])))
            noted += len(said) - said[NOTE].null_count
            progress.advance(len(said))
    return n, noted


def main() -> None:
    """Predict as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m boomlib.predict", description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+", metavar="RUN_FOLDER", help="of runs with keep_models")
    parser.add_argument("molecules", type=Path, help="CSV, Parquet, or SMILES, one a line")
    parser.add_argument("--smiles-column", metavar="NAME", help="column of SMILES; `smiles` if not given")
    parser.add_argument("--out", type=Path, default=Path("predictions.csv"), help="CSV or Parquet (predictions.csv)")
    parser.add_argument("--other-code", action="store_true", help="accept models that other code has made")
    arguments = parser.parse_args()
    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stderr)
    try:
        kept = [read_kept(folder, arguments.other_code) for folder in arguments.folders]
        molecules = MoleculeFile(arguments.molecules, arguments.smiles_column)
        n, noted = predict_file(kept, molecules, arguments.out)
    except (ContractError, OSError) as error:
        sys.exit(f"error: {error}")
    refused = f"{noted:,} of {n:,} molecules lack a prediction: see the column {NOTE}" if noted else f"{n:,} molecules"
    print(f"{arguments.out}: {refused}", file=sys.stderr)


if __name__ == "__main__":
    main()
