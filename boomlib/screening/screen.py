"""A screen: every molecule of a file, asked once, written in the file's order with the file's own columns."""

import csv
import functools
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from boomlib.contracts import REJECTS
from boomlib.datasets.rows import as_text
from boomlib.datasets.stream import MoleculeFile
from boomlib.evaluation.applicability import STRUCTURE
from boomlib.featurize import compute_in_order, silence_rdkit
from boomlib.files import ContractError, StrPath, atomic_path, commit, read_json, write_json
from boomlib.predict import ENDS, NOTE, check_molecules, check_names, name_columns, writing
from boomlib.progress import Progress
from boomlib.screening.answers import Answers, Chunk, Store, open_store
from boomlib.screening.columns import Predictor, tabulate
from boomlib.screening.panel import CHUNK, Panel, read_panel
from boomlib.screening.summary import Summary

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Asked:
    """Who predicts.

    Attributes:
        models: of each model on each task ``dataset``, ``property``, ``scheme``, ``model``, ``label`` and ``unit``.
        folders: of each of them the folders of its runs, a seed each, with their kept models.
        domains: of each of them the domain of its task.
        uncertainty: of each of them the file of :func:`boomlib.evaluation.uncertainty.judge_uncertainty`.
    """

    models: Sequence[Mapping[str, str]]
    folders: Sequence[Sequence[str]]
    domains: Sequence[str]
    uncertainty: Sequence[str]

    def read_panel(self) -> Panel:
        """All models and domains, read once in each process."""
        return read_panel(tuple(folder for each in self.folders for folder in each), tuple(self.domains))

    def list_predictors(self) -> list[Predictor]:
        """Each model on each task, over its seeds."""
        panel = self.read_panel()
        names = dict(zip(panel.folders, panel.model_names, strict=True))
        described = dict(zip(panel.folders, panel.facts, strict=True))
        sources = [[names[Path(folder)] for folder in each] for each in self.folders]
        facts = [[described[Path(folder)] for folder in each] for each in self.folders]
        judged = [read_json(path)["predictors"][-1] for path in self.uncertainty]
        domains = [panel.domains[name] for name in panel.domain_names]
        parts = (name_columns(self.models), facts, sources, domains, panel.domain_names, judged)
        return [Predictor(*each) for each in zip(*parts, strict=True)]


def answer(chunk: Chunk, asked: Asked) -> tuple[list[int], dict[str, Answers]]:
    """What is said of a chunk, with the numbers of its molecules."""
    return chunk.ids, asked.read_panel().ask(chunk.smiles, chunk.sources)


def ask_left(store: Store, asked: Asked, workers: int) -> int:
    """Have the sources say what they have not said yet, each chunk in one transaction; returns how many were asked."""
    left = store.count_left()
    if not left:
        return 0
    progress, work = Progress("screen", "mol", left), functools.partial(answer, asked=asked)
    size = asked.read_panel().chunk
    workers = max(1, min(workers, -(-left // size)))
    with closing(compute_in_order(work, store.list_left(size), workers)) as said:
        for ids, answers in said:
            store.write(ids, answers)
            progress.advance(len(ids))
    return left


def read_parts(
    molecules: MoleculeFile, columns: Sequence[str] | None = None
) -> Iterator[tuple[list[int], pa.Table, list[str]]]:
    """Parts of the file: where each row stands, its columns, and the SMILES as written, empty where there is none."""
    for numbers, part in molecules.read_parts(CHUNK, columns):
        yield numbers, part, [text or "" for text in molecules.read_smiles(numbers, part)]


def write_table(
    molecules: MoleculeFile, store: Store, predictors: Sequence[Predictor], outputs: Sequence[Path], rejects: Path
) -> Summary:
    """Write the file's rows with what is said of them, and apart the rows that lack a prediction.

    Args:
        molecules: the file, all of whose molecules have been asked.
        store: what was said.
        predictors: who has been asked.
        outputs: Parquet and CSV.
        rejects: CSV of where such a row stands, its SMILES and the reason.
    """
    schema = pa.schema([*molecules.schema, *tabulate(predictors, empty_answers(predictors), 0).table.schema])
    summary = Summary(predictors)
    with (
        writing(outputs[0], schema) as write_first,
        writing(outputs[1], schema) as write_second,
        atomic_path(rejects).open("w", newline="", encoding="utf-8") as stream,
    ):
        rejected = csv.writer(stream, lineterminator="\n")
        rejected.writerow((molecules.counts, *REJECTS))
        for numbers, part, smiles in read_parts(molecules):
            said = tabulate(predictors, store.read(smiles), len(smiles))
            table = pa.table([*part.columns, *said.table.columns], schema=schema)
            write_first(table)
            write_second(table)
            notes = said.table[NOTE].to_pylist()
            rejected.writerows(
                (line, as_text(text), note) for line, text, note in zip(numbers, smiles, notes, strict=True) if note
            )
            summary.add(smiles, said)
    commit(rejects)
    return summary


def empty_answers(predictors: Iterable[Predictor]) -> dict[str, Answers]:
    """What is said of no molecules."""
    said: dict[str, Answers] = {}
    for each in predictors:
        said |= {name: Answers(np.empty((0, 2)), {}) for name in each.sources}
        said[each.domain_source] = Answers(np.empty((0, len(STRUCTURE))), {})
    return said


def check_file(
    file: StrPath, models: Sequence[Mapping[str, str]], out: StrPath, *, smiles_column: str | None = None
) -> None:
    """Look at each row of a file, before models are trained for it, and write ``out``: its columns, and how many rows.

    Args:
        file: CSV, Parquet, or SMILES, one a line.
        models: those of :class:`Asked`.
        out: a JSON file.
        smiles_column: the column of SMILES; None: ``smiles``.

    Raises:
        ContractError: the file cannot be read or has a column of a name that is needed.
    """
    molecules = MoleculeFile(Path(file), smiles_column)
    names = [f"{each[0]}{end}" for each in name_columns(models) for end in ENDS]
    rows = check_molecules(molecules, [*names, NOTE])
    write_json(out, {"file": str(file), "rows": rows, "columns": molecules.names, "smiles": molecules.smiles})


def screen_file(
    file: StrPath,
    asked: Asked,
    store_path: StrPath,
    outputs: Sequence[StrPath],
    rejects: StrPath,
    summary_path: StrPath,
    *,
    smiles_column: str | None = None,
    workers: int = 1,
) -> dict[str, Any]:
    """Predict every molecule of a file, of any size, in memory that does not grow with it.

    Args:
        file: CSV, Parquet, or SMILES, one a line.
        asked: who predicts.
        store_path: an SQLite file with what is said of each molecule: what it has is not asked again, whatever has
            been killed, added to the file or moved in it.
        outputs: the Parquet and the CSV file to write: the file's columns, of each model its prediction, spread,
            interval and flags, and ``note``.
        rejects: the CSV file of rows that lack a prediction.
        summary_path: the JSON file of :meth:`boomlib.screening.summary.Summary.to_json`.
        smiles_column: the column of SMILES; None: ``smiles``.
        workers: processes.

    Returns:
        The summary, and ``asked``, how many molecules were asked now.

    Raises:
        ContractError: the file cannot be read or has a column of a name that is needed, or a model is not what was
            kept.
    """
    silence_rdkit()
    molecules = MoleculeFile(Path(file), smiles_column)
    predictors = asked.list_predictors()
    check_names(molecules, tabulate(predictors, empty_answers(predictors), 0).table.column_names)
    with open_store(Path(store_path), asked.read_panel().sources) as store:
        n = 0
        for _, _, smiles in read_parts(molecules, [molecules.smiles]):
            store.add_molecules(smiles)
            n += len(smiles)
        if not n:
            raise ContractError(f"{file}: no molecules; the file is empty, or has a line of column names alone")
        new = ask_left(store, asked, workers)
        logger.info("%s: %d rows, %d molecules asked that had no answer yet", file, n, new)
        summary = write_table(molecules, store, predictors, [Path(each) for each in outputs], Path(rejects))
    described = {"file": str(file), **summary.to_json(asked.models)}
    write_json(summary_path, described)
    return described | {"asked": new}
