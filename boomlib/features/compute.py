"""Compute one feature of all molecules, in parallel chunks, written in order with bounded memory."""

import functools
import importlib
import multiprocessing
import os
from collections.abc import Callable, Sequence

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from boomlib.contracts import ContractError, atomic_path, commit, read_molecules

CHUNK = 512


def compute_feature(feature: str, molecules: str | os.PathLike, out: str | os.PathLike, workers: int = 1) -> None:
    """Write ``out`` with ``molecule_id`` and the columns of ``boomlib.features.{feature}``.

    Args:
        feature: name of a module of this package with ``compute(smiles) -> {column: Arrow array}``.
        molecules: the molecules table.
        out: the Parquet file to write, one row group a chunk; the same whatever ``workers`` is.
        workers: processes.
    """
    module = importlib.import_module(f"boomlib.features.{feature}")
    table = read_molecules(molecules)
    smiles = table["smiles"].to_pylist()
    chunks = [(start, smiles[start : start + CHUNK]) for start in range(0, len(smiles), CHUNK)]
    work = functools.partial(compute_chunk, module.compute)
    writer = None
    with (
        multiprocessing.Pool(workers, initializer=silence_rdkit) as pool,
        tqdm(total=len(smiles), desc=feature, unit="mol", mininterval=1) as bar,
    ):
        for columns in pool.imap(work, chunks):
            if writer is None:
                writer = pq.ParquetWriter(atomic_path(out), columns.schema, compression="zstd")
            writer.write_table(columns)
            bar.update(columns.num_rows)
    writer.close()
    commit(out)


def compute_chunk(compute: Callable[[Sequence[str]], dict[str, pa.Array]], chunk: tuple[int, list[str]]) -> pa.Table:
    """Apply ``compute`` to the molecules of one chunk (first id, SMILES)."""
    start, smiles = chunk
    try:
        columns = compute(smiles)
    except Exception as error:
        last = start + len(smiles) - 1
        raise ContractError(f"{compute.__module__}: molecules {start} to {last}: {error!r}") from error
    return pa.table({"molecule_id": pa.array(range(start, start + len(smiles)), pa.int64()), **columns})


def silence_rdkit() -> None:
    """Turn off RDKit's warnings in this process; what cannot be parsed was rejected before."""
    from rdkit import RDLogger

    RDLogger.DisableLog("rdApp.*")
