"""Compute one feature of all molecules, in parallel chunks, written in order with bounded memory."""

import functools
import importlib
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from boomlib.contracts import GEOMETRY, check_ids, read_molecules, readable
from boomlib.files import ContractError, atomic_path, commit
from boomlib.processes import end_with

CHUNK = 512


def compute_feature(
    feature: str,
    molecules: str | os.PathLike,
    out: str | os.PathLike,
    workers: int = 1,
    part: tuple[int, int] = (0, 1),
    geometry: str | os.PathLike | None = None,
) -> None:
    """Write ``out`` with ``molecule_id`` and the columns of ``boomlib.features.{feature}``.

    Args:
        feature: name of a module of this package with ``compute(smiles) -> {column: Arrow array}``.
        molecules: the molecules table.
        out: the Parquet file to write, one row group a chunk; the same whatever ``workers`` is.
        workers: processes.
        geometry: the geometry table, for a feature that reads it: its ``compute`` gets the molecules' rows as well,
            or None if the table is empty.
        part: (i, n): compute the i-th of n parts; :func:`merge_parts` joins them to the same bytes as one job's.

    Raises:
        ContractError: a molecule cannot be computed, or a worker was killed.
    """
    module = importlib.import_module(f"boomlib.features.{feature}")
    smiles = read_molecules(molecules)["smiles"].to_pylist()
    size = getattr(module, "CHUNK", CHUNK)
    starts = share(range(0, len(smiles), size), part) or [len(smiles)]
    total = min(starts[-1] + size, len(smiles)) - starts[0]
    chunks = ((start, smiles[start : start + size]) for start in starts)
    if geometry is not None:
        chunks = add_geometry(chunks, geometry, len(smiles))
    work = functools.partial(compute_chunk, module.compute)
    writer = None
    with (
        ProcessPoolExecutor(workers, initializer=start_worker, initargs=(os.getpid(),)) as pool,
        tqdm(total=total, desc=feature, unit="mol", mininterval=1) as bar,
    ):
        for columns in in_order(pool, work, chunks, 2 * workers):
            if writer is None:
                writer = pq.ParquetWriter(atomic_path(out), columns.schema, compression="zstd")
            writer.write_table(columns)
            bar.update(columns.num_rows)
            report_notes(columns, smiles)
    writer.close()
    commit(out)


def add_geometry(chunks: Iterable[tuple], path: str | os.PathLike, n: int) -> Iterator[tuple]:
    """Add to each chunk (first id, SMILES) its rows of the geometry table, or None if the table is empty.

    Memory holds the row groups of two chunks at most, however many molecules there are.

    Args:
        chunks: chunks of molecules, in order.
        path: the geometry table.
        n: how many molecules the dataset has.

    Raises:
        ContractError: the table is broken or not that of these molecules.
    """
    with readable(path), pq.ParquetFile(path) as file:
        GEOMETRY.check(file.schema_arrow.empty_table(), str(path))
        groups = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        if not sum(groups):
            yield from ((*chunk, None) for chunk in chunks)
            return
        check_ids(file.read(["molecule_id"]), n, path)
        begins = np.cumsum([0, *groups[:-1]])
        read = functools.lru_cache(1)(file.read_row_groups)  # the next chunk mostly lies in the same ones
        for start, smiles in chunks:
            first, last = np.searchsorted(begins, [start, start + len(smiles) - 1], "right") - 1
            rows = np.arange(start, start + len(smiles)) - begins[first]
            # a copy: a mere slice would send whole row groups to another process
            yield start, smiles, read(range(first, last + 1)).take(pa.array(rows))


def in_order(
    pool: ProcessPoolExecutor, work: Callable[[tuple], pa.Table], chunks: Iterable[tuple], ahead: int
) -> Iterator[pa.Table]:
    """``pool.map(work, chunks)`` that reads chunks as they are needed and holds ``ahead`` of them at most.

    Raises:
        ContractError: a worker was killed.
    """
    futures = deque()
    try:
        for chunk in chunks:
            futures.append(pool.submit(work, chunk))
            if len(futures) == ahead:
                yield futures.popleft().result()
        while futures:
            yield futures.popleft().result()
    except BrokenProcessPool:
        raise ContractError(
            "a worker process of this job was killed, perhaps for want of memory (the kernel's log says so); give the "
            "job more memory or fewer threads, and run again"
        ) from None
    finally:
        for future in futures:
            future.cancel()


def report_notes(columns: pa.Table, smiles: Sequence[str]) -> None:
    """Print what a feature has to say of single molecules, into the job's log."""
    if "note" in columns.column_names:
        for molecule, note in zip(columns["molecule_id"].to_pylist(), columns["note"].to_pylist(), strict=True):
            if note:
                tqdm.write(f"molecule {molecule} ({smiles[molecule]}): {note}", file=sys.stderr)


def compute_chunk(compute: Callable[..., dict[str, pa.Array]], chunk: tuple) -> pa.Table:
    """Apply ``compute`` to the molecules of one chunk (first id, SMILES, and their geometries if it reads them)."""
    start, smiles, *extra = chunk
    try:
        columns = compute(smiles, *extra)
    except Exception as error:
        last = start + len(smiles) - 1
        raise ContractError(f"{compute.__module__}: molecules {start} to {last}: {error!r}") from error
    return pa.table({"molecule_id": pa.array(range(start, start + len(smiles)), pa.int64()), **columns})


def share(chunks: Sequence, part: tuple[int, int]) -> Sequence:
    """The i-th of n contiguous shares of ``chunks``; empty where there are fewer chunks than parts."""
    index, parts = part
    return chunks[index * len(chunks) // parts : (index + 1) * len(chunks) // parts]


def merge_parts(parts: Sequence[str | os.PathLike], out: str | os.PathLike) -> None:
    """Join the parts of a feature table, in their order, row group by row group."""
    writer = None
    for path in tqdm(parts, desc="merge", unit="part"):
        with pq.ParquetFile(path) as part:
            if writer is None:
                writer = pq.ParquetWriter(atomic_path(out), part.schema_arrow, compression="zstd")
            for group in range(part.num_row_groups):
                if part.metadata.row_group(group).num_rows:
                    writer.write_table(part.read_row_group(group))
    writer.close()
    commit(out)


def start_worker(job: int) -> None:
    """Ready a worker process, which ends with its job's, given by its id."""
    end_with(job, signal.SIGKILL)
    silence_rdkit()


def silence_rdkit() -> None:
    """Turn off RDKit's warnings in this process; what cannot be parsed was rejected before."""
    from rdkit import RDLogger

    RDLogger.DisableLog("rdApp.*")
