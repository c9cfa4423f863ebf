"""Compute one feature of all molecules, in parallel chunks, written in order with bounded memory."""

import contextlib
import functools
import importlib
import itertools
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from joblib import Parallel, delayed, parallel_config

from boomlib.contracts import (
    FEATURE,
    GEOMETRY,
    TableContract,
    check_ids,
    locate,
    locating,
    read_molecules,
    readable,
)
from boomlib.files import ContractError, MoleculeError, atomic_path, commit
from boomlib.processes import end_with
from boomlib.progress import Progress

CHUNK = 512
AHEAD = 16  # chunks that are held at once for each worker
SLOW = 30.0  # seconds that one molecule may take without a warning

logger = logging.getLogger(__name__)


def compute_feature(
    feature: str,
    molecules: str | os.PathLike,
    out: str | os.PathLike,
    workers: int = 1,
    part: tuple[int, int] = (0, 1),
    tables: Mapping[str, str | os.PathLike] | None = None,
    settings: Mapping[str, object] | None = None,
) -> None:
    """Write ``out`` with ``molecule_id`` and the columns of ``boomlib.features.{feature}``.

    Args:
        feature: name of a module of ``boomlib.features`` with ``compute(smiles) -> {column: Arrow array}``, which of
            no molecules makes the same columns of the same types.
        molecules: the molecules table.
        out: the Parquet file to write, one row group a chunk; the same whatever ``workers`` is.
        workers: processes, of which there are no more than chunks.
        tables: the tables that the feature reads, in the order of its arguments: ``geometry`` or other features. Its
            ``compute`` gets the molecules' rows of each as well, or None if the table is empty.
        settings: further arguments of ``compute``, keys of the dataset's entry; none: its own defaults.
        part: (i, n): compute the i-th of n parts; :func:`merge_parts` joins them to the same bytes as one job's.

    Raises:
        ContractError: a molecule cannot be computed, or a worker was killed.
    """
    module = importlib.import_module(f"boomlib.features.{feature}")
    known = read_molecules(molecules)
    smiles = known["smiles"].to_pylist()
    size = getattr(module, "CHUNK", CHUNK)
    starts = share(range(0, len(smiles), size), part)
    chunks = ((start, smiles[start : start + size]) for start in starts)
    for name, path in (tables or {}).items():
        chunks = add_rows(chunks, path, GEOMETRY if name == "geometry" else FEATURE, len(smiles))
    silence_rdkit()
    work = functools.partial(compute_chunk, module.compute, settings=settings or {})
    schema = work((0, [], *[None] * len(tables or {})))[0].schema
    progress = Progress(feature, "mol", sum(min(size, len(smiles) - start) for start in starts))
    with (
        locating(molecules),
        pq.ParquetWriter(atomic_path(out), schema, compression="zstd") as writer,
        # closed at once where writing fails, or the workers would finish what they have
        contextlib.closing(compute_in_order(work, chunks, max(1, min(workers, len(starts))))) as computed,
    ):
        for columns, seconds in computed:
            writer.write_table(columns)
            progress.advance(columns.num_rows)
            report_notes(columns, known)
            report_slow(feature, seconds, known)
    commit(out)


def add_rows(chunks: Iterable[tuple], path: str | os.PathLike, contract: TableContract, n: int) -> Iterator[tuple]:
    """Add to each chunk (first id, SMILES, …) its rows of a table, or None if the table is empty.

    Memory holds the row groups of two chunks at most, however many molecules there are.

    Args:
        chunks: chunks of molecules, in order.
        path: the table.
        contract: what it must be.
        n: how many molecules the dataset has.

    Raises:
        ContractError: the table is broken or not that of these molecules.
    """
    with readable(path), pq.ParquetFile(path) as file:
        contract.check(file.schema_arrow.empty_table(), str(path))
        groups = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        if not sum(groups):
            yield from ((*chunk, None) for chunk in chunks)
            return
        check_ids(file.read(["molecule_id"]), n, path)
        begins = np.cumsum([0, *groups[:-1]])
        read = functools.lru_cache(1)(file.read_row_groups)  # the next chunk mostly lies in the same ones
        for start, smiles, *extra in chunks:
            first, last = np.searchsorted(begins, [start, start + len(smiles) - 1], "right") - 1
            rows = np.arange(start, start + len(smiles)) - begins[first]
            # a copy: a mere slice would send whole row groups to another process
            yield start, smiles, *extra, read(range(first, last + 1)).take(pa.array(rows))


def compute_in_order(
    work: Callable[[tuple], object], chunks: Iterator[tuple], workers: int
) -> Generator[Any, None, None]:
    """Apply ``work`` to chunks in ``workers`` processes, or in this one if that is 1; yields results in order.

    Workers start afresh: one forked from a process with threads, as every job is, waits for ever for a lock that a
    thread held. Chunks are read as they are needed, and ``AHEAD`` a worker are held at most.

    Raises:
        ContractError: a worker was killed.
    """
    with parallel_config("loky", inner_max_num_threads=1, initializer=start_worker, initargs=(os.getpid(),)):
        parallel = Parallel(workers, return_as="generator", batch_size=1)
    try:
        # block by block, as joblib goes on computing however far the results are ahead of who writes them
        while block := list(itertools.islice(chunks, AHEAD * workers)):
            yield from parallel(delayed(work)(chunk) for chunk in block)
    except BrokenProcessPool:
        raise ContractError(
            "a worker process of this job was killed, perhaps for want of memory (the kernel's log says so); give the "
            "job more memory or fewer threads, and run again"
        ) from None


def report_notes(columns: pa.Table, known: pa.Table) -> None:
    """Print what a feature has to say of single molecules of the molecules table ``known``, into the job's log."""
    if "note" in columns.column_names:
        for molecule, note in zip(columns["molecule_id"].to_pylist(), columns["note"].to_pylist(), strict=True):
            if note:
                print(f"{locate(known, [known['smiles'][molecule].as_py()])}: {note}", file=sys.stderr)


class Timed(list[str]):
    """The SMILES of a chunk, which note how long a feature takes for each while it goes through them.

    Attributes:
        seconds: of each molecule, by position.
    """

    def __init__(self, smiles: Sequence[str]) -> None:
        super().__init__(smiles)
        self.seconds: dict[int, float] = {}

    def __iter__(self) -> Iterator[str]:
        for row, text in enumerate(super().__iter__()):
            start = time.monotonic()
            yield text
            self.seconds[row] = time.monotonic() - start


def report_slow(feature: str, seconds: Mapping[int, float], known: pa.Table) -> None:
    """Name the molecules that took longer than :data:`SLOW`, by id, on the terminal and in the job's log."""
    for molecule, taken in seconds.items():
        if taken > SLOW:
            where = locate(known, [known["smiles"][molecule].as_py()])
            logger.warning("%s: %s took %.0f s", where, feature, taken)


def compute_chunk(
    compute: Callable[..., dict[str, pa.Array]], chunk: tuple, settings: Mapping[str, object]
) -> tuple[pa.Table, dict[int, float]]:
    """Apply ``compute`` to the molecules of one chunk (first id, SMILES, and their rows of the tables that it reads).

    Returns:
        The feature's table, and how many seconds each molecule took, by id.
    """
    start, smiles, *extra = chunk
    timed = Timed(smiles)
    try:
        columns = compute(timed, *extra, **settings)
    except Exception as error:
        if not smiles:
            raise ContractError(f"{compute.__module__}: no molecules: {error!r}") from error
        which = find_failing(functools.partial(compute, **settings), smiles, extra)
        raise MoleculeError(f"{compute.__module__}: {error!r}", which) from error
    seconds = {start + row: taken for row, taken in timed.seconds.items()}
    return pa.table({"molecule_id": pa.array(range(start, start + len(smiles)), pa.int64()), **columns}), seconds


def find_failing(
    compute: Callable[..., dict[str, pa.Array]], smiles: Sequence[str], extra: Sequence[pa.Table | None]
) -> Sequence[str]:
    """The first of some molecules with which ``compute`` fails also by itself, in a list; all if there is none."""
    for row, text in enumerate(smiles):
        try:
            compute([text], *(None if each is None else each.slice(row, 1) for each in extra))
        except Exception:
            return [text]
    return smiles


def share(chunks: Sequence, part: tuple[int, int]) -> Sequence:
    """The i-th of n contiguous shares of ``chunks``; empty where there are fewer chunks than parts."""
    index, parts = part
    return chunks[index * len(chunks) // parts : (index + 1) * len(chunks) // parts]


def merge_parts(parts: Sequence[str | os.PathLike], out: str | os.PathLike) -> None:
    """Join the parts of a feature table, in their order, row group by row group."""
    with pq.ParquetWriter(atomic_path(out), pq.read_schema(parts[0]), compression="zstd") as writer:
        for path in parts:
            with pq.ParquetFile(path) as part:
                for group in range(part.num_row_groups):
                    writer.write_table(part.read_row_group(group))
    commit(out)


def start_worker(job: int) -> None:
    """Ready a worker process, which ends with its job's, given by its id."""
    end_with(job, signal.SIGKILL)
    silence_rdkit()


def silence_rdkit() -> None:
    """Turn off RDKit's warnings in this process; what cannot be parsed was rejected before."""
    from rdkit import RDLogger

    RDLogger.DisableLog("rdApp.*")
