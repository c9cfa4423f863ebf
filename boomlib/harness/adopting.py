"""Published predictions: packed for a publication without what the split tells, and taken for those of a run."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from boomlib.contracts import (
    EPOCHS,
    POLICY,
    PREDICTED_FOLDS,
    TASK,
    TableContract,
    read_predictions,
    read_table,
    write_predictions,
    write_table,
)
from boomlib.files import ContractError, StrPath, atomic_path, commit, write_text
from boomlib.provenance import content_hash
from boomlib.runs import ADOPTED

NEUTRAL = "hands on predictions as they were made"

PACKED = TableContract("packed predictions", {"y_pred": pa.float64()})
HASH = b"task"
HISTORY = "history.csv"


def hash_task(task: pa.Table) -> str:
    """Hash of a task table: molecules, folds and the labels that training sees."""
    return content_hash([task[name].to_pylist() for name in ("molecule_id", "smiles", "fold", "y")])


def pack_predictions(task_path: StrPath, predictions_path: StrPath, out_path: StrPath) -> None:
    """Write a run's predictions in the order of its task, without ids and folds.

    Raises:
        ContractError: they do not answer the task.
    """
    task = read_table(task_path, TASK)
    predictions = read_predictions(predictions_path, task["fold"].to_numpy().astype(str), task)
    columns = [name for name in ("y_pred", "y_std") if name in predictions.column_names]
    packed = predictions.select(columns).replace_schema_metadata({HASH: hash_task(task).encode()})
    PACKED.check(packed, str(out_path))
    # the bytes of floats pack better by their place
    path = atomic_path(out_path)
    pq.write_table(packed, path, compression="zstd", use_dictionary=False, use_byte_stream_split=columns)
    commit(out_path)


def unpack_predictions(task_path: StrPath, packed_path: StrPath, out_path: StrPath) -> None:
    """Write as a run's predictions what :func:`pack_predictions` has written.

    Raises:
        ContractError: they answer another task.
    """
    task, packed = read_table(task_path, TASK), read_table(packed_path, PACKED)
    fold = task["fold"].to_numpy().astype(str)
    asked = np.isin(fold, PREDICTED_FOLDS)
    told = (packed.schema.metadata or {}).get(HASH, b"").decode()
    if told != hash_task(task) or packed.num_rows != asked.sum():
        raise ContractError(
            f"{packed_path}: was made for other molecules, folds or labels than those of {task_path}; delete it, and "
            "the run is trained"
        )
    std = packed["y_std"].to_numpy() if "y_std" in packed.column_names else None
    write_predictions(out_path, task["molecule_id"].to_numpy()[asked], fold[asked], packed["y_pred"].to_numpy(), std)


def adopt_run(
    restored: Sequence[StrPath],
    task: StrPath,
    predictions: StrPath,
    run: StrPath,
    *,
    policy: StrPath | None = None,
) -> None:
    """Take a published run for one of here: predictions, record and history, and nothing else of an earlier run.

    Args:
        restored: packed predictions and ``run.json``; ``history.csv`` lies beside the latter, of a model that has one.
        task: the blinded task table.
        predictions, run: what the rule makes.
        policy: of a model that answers one, whose scores and figure are published instead: made without rows, and so
            is ``epochs.parquet``, of which the figure is made.

    Raises:
        ContractError: the predictions answer another task.
    """
    packed, record = Path(restored[0]), Path(restored[1])
    folder = Path(run).parent
    folder.parent.mkdir(parents=True, exist_ok=True)
    unpack_predictions(task, packed, predictions)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    write_text(folder / ADOPTED, f"{record}\n")
    if policy is not None:
        write_table(POLICY.empty(), policy, POLICY)
        write_table(EPOCHS.empty(), folder / "epochs.parquet", EPOCHS)
    if record.with_name(HISTORY).is_file():
        shutil.copyfile(record.with_name(HISTORY), folder / HISTORY)
    shutil.copyfile(record, run)
    print(f"restored from {record}, and not trained")
