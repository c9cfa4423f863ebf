"""The one way from a task table to predictions, whatever the model."""

import os
import shutil
import traceback
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from boomlib.contracts import (
    FEATURE,
    POLICY,
    PREDICTED_FOLDS,
    TASK,
    listed,
    property_values,
    read_molecules,
    read_predictions,
    read_table,
    write_predictions,
    write_table,
)
from boomlib.files import ContractError, sha256, write_json, write_text
from boomlib.harness.interface import CHECKPOINTS, Molecules, model_class
from boomlib.provenance import RunRecord, code_hash, content_hash

FAILURE = "failure.json"


def read_task(
    task: str | os.PathLike, features: Mapping[str, str | os.PathLike], truth: np.ndarray | None = None
) -> tuple[Molecules, np.ndarray]:
    """Read a task table and its feature tables.

    Args:
        task: the blinded task table.
        features: feature files by name; each must hold every molecule of the task.
        truth: all labels, for the oracle alone.

    Returns:
        All molecules of the task (``y`` is NaN on id and ood) and their fold, str [n].

    Raises:
        ContractError: a feature file lacks molecules; the message lists them.
    """
    table = read_table(task, TASK)
    ids = table["molecule_id"].to_numpy()
    tables = {}
    for name, path in features.items():
        feature = read_table(path, FEATURE)
        missing = np.setdiff1d(ids, feature["molecule_id"].to_numpy())
        if len(missing):
            raise ContractError(
                f"{path}: {len(missing)} molecules of {task} have no {name} (molecule_id {listed(missing)}); every "
                "model predicts every molecule, so delete the file and rerun"
            )
        for column in feature.column_names:
            if column != "note" and feature[column].null_count:
                gaps = feature.filter(pc.is_null(feature[column]))["molecule_id"].to_pylist()
                raise ContractError(
                    f"{path}: {len(gaps)} molecules have no {column} (molecule_id {listed(gaps)}; the column `note` "
                    "says why); every model predicts every molecule, so mend or remove them in the source"
                )
        feature = feature.sort_by("molecule_id")
        tables[name] = feature.drop_columns("molecule_id").take(
            pa.array(np.searchsorted(feature["molecule_id"].to_numpy(), ids))
        )
    y = table["y"].to_numpy() if truth is None else truth
    smiles = np.asarray(table["smiles"].to_pylist(), dtype=object)
    return Molecules(ids, smiles, np.asarray(y, dtype=np.float64), tables), table["fold"].to_numpy().astype(str)


def train_and_predict(
    task: str | os.PathLike,
    features: Mapping[str, str | os.PathLike],
    predictions: str | os.PathLike,
    run: str | os.PathLike,
    *,
    model: dict,
    kind: str,
    name: str,
    seed: int,
    threads: int = 1,
    observable: str | None = None,
    keep_model: bool = False,
    policy: str | os.PathLike | None = None,
    pretrained: str | os.PathLike | None = None,
    truth: str | os.PathLike | None = None,
    log: str | None = None,
) -> None:
    """Fit a model to train and valid, predict valid, id and ood, and write predictions and ``run.json``.

    A model that fails leaves ``failure.json`` beside ``run.json`` with the reason, for the leaderboard, and the
    error goes on to the caller.

    Args:
        task: the blinded task table.
        features: feature files by name.
        predictions: the predictions file to write.
        run: ``run.json`` to write; its folder also holds checkpoints, history and the model if it is kept.
        model: the descriptor's ``class`` and ``parameters``.
        kind: ``extensive`` or ``intensive``.
        name: the property.
        seed: seed of the run.
        threads: processors for the job.
        observable: which quantity the property is, see :class:`boomlib.harness.interface.Model`.
        keep_model: whether to save the fitted model.
        policy: the policy table to write, for a model that evaluates one.
        pretrained: weights (``model.safetensors``) in the folder of the checkpoint that the model starts from.
        truth: the molecules table, for a model whose descriptor says ``sees_truth``.
        log: the job's log, named in ``failure.json``.

    Raises:
        ContractError: the descriptor wants a checkpoint and there is none, or the reverse; or a file is broken.
    """
    folder = Path(run).parent
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FAILURE).unlink(missing_ok=True)
    common = {"kind": kind, "seed": seed, "observable": observable}
    weights = [pretrained] if pretrained else []
    resumed = forget_other_runs(folder, {"model": model} | common, task, *features.values(), *weights)
    record = RunRecord()
    try:
        check_start(model["parameters"].get("pretrained"), pretrained)
        labels = property_values(read_molecules(truth), name, truth) if truth else None
        molecules, fold = read_task(task, features, labels)
        fitted = model_class(model["class"])(threads=threads, **common, **model["parameters"])
        asked = np.isin(fold, PREDICTED_FOLDS)
        fitted.unlabelled = molecules.take(asked)
        fitted.pretrained = Path(pretrained).parent if pretrained else None
        fitted.fit(molecules.take(fold == "train"), molecules.take(fold == "valid"), folder)
        predicted = fitted.predict(fitted.unlabelled)
        write_predictions(predictions, molecules.molecule_id[asked], fold[asked], predicted.mean, predicted.std)
        read_predictions(predictions, fold)
        if policy:
            write_table(fitted.policy(molecules), policy, POLICY)
        if keep_model:
            fitted.save(folder)
    except Exception as error:
        reason = {"error": type(error).__name__, "message": str(error), "log": log}
        write_json(folder / FAILURE, reason | {"traceback": traceback.format_exc()})
        raise
    sizes = {each: int((fold == each).sum()) for each in ("train", *PREDICTED_FOLDS)}
    # the time and memory of the record are those of the last process alone
    settings = {"model": model, "property": name, "seed": seed, "threads": threads, "resumed": resumed}
    write_json(run, record.finish(**settings, molecules=sizes, **fitted.facts))
    shutil.rmtree(folder / CHECKPOINTS)


def check_start(wanted: object, pretrained: str | os.PathLike | None) -> None:
    """Raise :class:`ContractError` unless there is a checkpoint just where a descriptor's ``pretrained`` wants one."""
    if (wanted is None) != (pretrained is None):
        raise ContractError(
            f"the model's descriptor says `pretrained: {wanted}`, but the job was given "
            f"{pretrained or 'no checkpoint'}; it needs `family: language`, whose rule hands over what it says"
        )


def forget_other_runs(folder: Path, settings: dict, *inputs: str | os.PathLike) -> bool:
    """Remove checkpoints that other settings, other code or other inputs have left in the folder of a run.

    Returns:
        Whether there is still a state to go on from, ``last.…``.
    """
    module = settings["model"]["class"].rpartition(".")[0]
    code = code_hash(f"boomlib.models.{module}")
    identity = content_hash([settings, code, *(sha256(path) for path in inputs)])
    mark = folder / CHECKPOINTS / "identity"
    if mark.parent.exists() and not (mark.exists() and mark.read_text(encoding="utf-8") == identity):
        shutil.rmtree(mark.parent)
    write_text(mark, identity)
    return any(mark.parent.glob("last.*"))
