"""The one way from a task table to predictions, whatever the model."""

import os
import shutil
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from boomlib.contracts import (
    FEATURE,
    POLICY,
    PREDICTED_FOLDS,
    TASK,
    locate,
    locating,
    property_values,
    read_molecules,
    read_predictions,
    read_table,
    write_predictions,
    write_table,
)
from boomlib.declared import order_features
from boomlib.files import ContractError, MoleculeError, sha256, write_json, write_text
from boomlib.harness.adopting import adopt_run
from boomlib.harness.composition import count_elements
from boomlib.harness.interface import MEMBERS, STATE, Molecules, find_model_class
from boomlib.harness.keeping import RECORD, keep_model
from boomlib.provenance import RunRecord, code_hash, content_hash, hash_training
from boomlib.runs import ADOPTED

FAILURE = "failure.json"
SHOWN = 5  # reasons that a message names


def read_task(
    task: str | os.PathLike,
    features: Mapping[str, str | os.PathLike],
    truth: np.ndarray | None = None,
    members: Mapping[str, str | os.PathLike] = MappingProxyType({}),
) -> tuple[Molecules, np.ndarray]:
    """Read a task table and its feature tables.

    Args:
        task: the blinded task table.
        features: feature files by name; each must hold every molecule of the task.
        truth: the labels of all molecules of the dataset, by molecule_id, for the oracle alone.
        members: predictions of this task by the name of their model, for a model that reads some.

    Returns:
        All molecules of the task (``y`` is NaN on id and ood) and their fold, str [n].

    Raises:
        ContractError: a feature file lacks molecules; the message says where they stand in the source.
    """
    table = read_table(task, TASK)
    ids = table["molecule_id"].to_numpy()
    smiles = np.asarray(table["smiles"].to_pylist(), dtype=object)

    def where(molecules: np.ndarray) -> str:
        return locate(table, smiles[np.isin(ids, molecules)])

    tables = {}
    for name, path in features.items():
        feature = read_table(path, FEATURE)
        missing = np.setdiff1d(ids, feature["molecule_id"].to_numpy())
        if len(missing):
            raise ContractError(
                f"{path}: {len(missing)} molecules of {task} have no {name} ({where(missing)}); every model predicts "
                "every molecule, so delete the file and rerun"
            )
        feature = feature.sort_by("molecule_id")
        feature = feature.take(pa.array(np.searchsorted(feature["molecule_id"].to_numpy(), ids)))
        for column in feature.column_names:
            if column != "note" and feature[column].null_count:
                gaps = feature.filter(pc.is_null(feature[column]))
                why = f"; of the first: {gaps['note'][0]}" if "note" in gaps.column_names else ""
                raise ContractError(
                    f"{path}: {len(gaps)} molecules have no {column} ({where(gaps['molecule_id'].to_numpy())}{why}); "
                    "every model predicts every molecule, so mend or remove them in the source"
                )
        tables[name] = feature.drop_columns("molecule_id")
    y, fold = table["y"].to_numpy() if truth is None else truth[ids], table["fold"].to_numpy().astype(str)
    if members:
        tables[MEMBERS] = pa.table({name: align_predictions(path, table, fold) for name, path in members.items()})
    return Molecules(ids, smiles, np.asarray(y, dtype=np.float64), tables), fold


def align_predictions(path: str | os.PathLike, task: pa.Table, fold: np.ndarray) -> np.ndarray:
    """Predictions of a task, float64, a row a molecule of it; NaN for train."""
    aligned = np.full(len(fold), np.nan)
    aligned[np.isin(fold, PREDICTED_FOLDS)] = read_predictions(path, fold, task)["y_pred"].to_numpy()
    return aligned


@dataclass(frozen=True)
class Job:
    """One training, as a rule describes it.

    Attributes:
        task: the blinded task table.
        features: feature files by name.
        predictions: the predictions file to write.
        run: ``run.json`` to write; its folder also holds the state, history and the model if it is kept.
        model: the descriptor's ``class`` and ``parameters``.
        kind: ``extensive`` or ``intensive``.
        property: its name.
        seed: seed of the run.
        threads: processors for the job.
        observable: which quantity the property is, see :class:`boomlib.harness.interface.Model`.
        keep: what the run is, to be written beside the fitted model (:func:`boomlib.harness.keeping.describe_run`);
            None: the model is not saved.
        policy: the policy table to write, for a model that evaluates one.
        checkpoint: the files of the checkpoint that the model starts from, all in one folder; none: from scratch.
        members: predictions files by the name of their model, for a model that reads some.
        truth: the molecules table, for a model whose descriptor says ``sees_truth``.
        fingerprint: what decides the run, for its record (:mod:`boomlib.fingerprints`).
        restored: packed predictions and record of the run, if a publication has it: then nothing is trained.
        log: the job's log, named in ``failure.json``.
    """

    task: str | os.PathLike
    features: Mapping[str, str | os.PathLike]
    predictions: str | os.PathLike
    run: str | os.PathLike
    model: dict
    kind: str
    property: str
    seed: int
    threads: int = 1
    observable: str | None = None
    keep: Mapping[str, Any] | None = None
    policy: str | os.PathLike | None = None
    checkpoint: Sequence[str | os.PathLike] = ()
    members: Mapping[str, str | os.PathLike] = field(default_factory=dict)
    truth: str | os.PathLike | None = None
    fingerprint: str | None = None
    restored: Sequence[str | os.PathLike] = ()
    log: str | None = None

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return Path(self.run).parent

    @property
    def common(self) -> dict:
        """Arguments that every model has, but for its threads."""
        return {"kind": self.kind, "seed": self.seed, "observable": self.observable}

    @property
    def inputs(self) -> list[str | os.PathLike]:
        """All files that decide the outcome."""
        return [self.task, *self.features.values(), *self.checkpoint, *self.members.values()]


def train_and_predict(job: Job) -> None:
    """Fit a model to train and valid, predict valid, id and ood, and write predictions and ``run.json``.

    A model that fails leaves ``failure.json`` beside ``run.json`` with the reason, for the leaderboard, and the
    error goes on to the caller. A run that a publication has is taken from there.

    Raises:
        ContractError: the descriptor wants a checkpoint and there is none, or the reverse; or a file is broken.
    """
    if job.restored:
        adopt_run(job.restored, job.task, job.predictions, job.run, policy=job.policy)
        return
    job.folder.mkdir(parents=True, exist_ok=True)
    for left in (FAILURE, RECORD, ADOPTED):  # of an earlier run
        (job.folder / left).unlink(missing_ok=True)
    resumed = forget_other_runs(job.folder, {"model": job.model} | job.common, *job.inputs)
    # of the code as it is now, whatever becomes of the files while it trains
    code = hash_training(job.model["class"], job.model["parameters"], order_features(job.features))
    record = RunRecord()
    try:
        with locating(job.task):
            facts = run_model(job, code)
    except Exception as error:
        reason = {"error": type(error).__name__, "message": str(error), "log": job.log}
        write_json(job.folder / FAILURE, reason | {"traceback": traceback.format_exc()})
        raise
    # the time and memory of the record are those of the last process alone
    settings = {"model": job.model, "property": job.property, "seed": job.seed, "threads": job.threads, "code": code}
    hashed = {"fingerprint": job.fingerprint, "resumed": resumed}
    write_json(job.run, record.finish(**settings, **hashed, **facts))
    shutil.rmtree(job.folder / STATE)


def run_model(job: Job, code: str) -> dict:
    """Make, fit, ask and perhaps keep the model, of that ``code``; returns what ``run.json`` says of that."""
    check_checkpoint(job.model["parameters"].get("pretrained"), job.checkpoint)
    labels = property_values(read_molecules(job.truth), job.property, job.truth) if job.truth else None
    molecules, fold = read_task(job.task, job.features, labels, job.members)
    model = find_model_class(job.model["class"])(threads=job.threads, **job.common, **job.model["parameters"])
    asked = np.isin(fold, PREDICTED_FOLDS)
    model.unlabelled = molecules.take(asked)
    model.checkpoint = Path(job.checkpoint[0]).parent if job.checkpoint else None
    check_readable(molecules, model.find_unreadable(molecules))
    report_unseen(molecules, fold, job.task)
    model.fit(molecules.take(fold == "train"), molecules.take(fold == "valid"), job.folder)
    predicted = model.predict(model.unlabelled)
    write_predictions(job.predictions, molecules.molecule_id[asked], fold[asked], predicted.mean, predicted.std)
    read_predictions(job.predictions, fold, read_table(job.task, TASK))
    if job.policy:
        write_table(model.policy(molecules), job.policy, POLICY)
    if job.keep is not None:
        seen = {"code": code, "sees_truth": labels is not None, "tells_std": predicted.std is not None}
        folders = {name: Path(path).with_suffix("") for name, path in job.members.items()}
        facts = {**job.keep, **job.model, **job.common, **seen}
        keep_model(model, job.folder, facts, molecules.take(fold == "train"), folders)
    sizes = {each: int((fold == each).sum()) for each in ("train", *PREDICTED_FOLDS)}
    return {"device": model.trained_on, "prediction_device": model.device, "molecules": sizes, **model.facts}


def check_readable(molecules: Molecules, reasons: dict[int, str]) -> None:
    """Raise :class:`MoleculeError` if there are ``reasons``, by position, why a model cannot read some molecules."""
    if reasons:
        raise MoleculeError(
            f"the model cannot read {len(reasons)} of {len(molecules)} molecules "
            f"({'; '.join(list(dict.fromkeys(reasons.values()))[:SHOWN])}); every model predicts every molecule, so "
            "remove their rows in the source, or leave the model out of `models:`",
            molecules.smiles[list(reasons)],
        )


def report_unseen(molecules: Molecules, fold: np.ndarray, task: str | os.PathLike) -> None:
    """Print, into the job's log, which molecules of a task have elements that no molecule of train has."""
    if "elements" not in molecules.features:
        return
    there = count_elements(molecules) > 0
    unseen = there & ~there[fold == "train"].any(axis=0)
    rows = np.flatnonzero(unseen.any(axis=1))
    if len(rows):
        elements = np.array(molecules.features["elements"].column_names)[unseen.any(axis=0)]
        print(
            f"{locate(read_table(task), molecules.smiles[rows])}: {len(rows)} molecules have elements that train "
            f"lacks ({', '.join(elements)}), of which the model has learnt nothing"
        )


def check_checkpoint(wanted: object, checkpoint: Sequence[str | os.PathLike]) -> None:
    """Raise :class:`ContractError` unless there is a checkpoint just where a descriptor's ``pretrained`` wants one."""
    if (wanted is None) == bool(checkpoint):
        raise ContractError(
            f"the model's descriptor says `pretrained: {wanted}`, but the job was given "
            f"{', '.join(map(str, checkpoint)) or 'no checkpoint'}; its family's rule must hand over what it says"
        )


def forget_other_runs(folder: Path, settings: dict, *inputs: str | os.PathLike) -> bool:
    """Remove the state that other settings, other code or other inputs have left in a run's folder.

    Returns:
        Whether there is still a state to go on from, ``last.…``.
    """
    module = settings["model"]["class"].rpartition(".")[0]
    code = code_hash(f"boomlib.models.{module}")
    identity = content_hash([settings, code, *(sha256(path) for path in inputs)])
    mark = folder / STATE / "identity"
    if mark.parent.exists() and not (mark.exists() and mark.read_text(encoding="utf-8") == identity):
        shutil.rmtree(mark.parent)
    write_text(mark, identity)
    return any(mark.parent.glob("last.*"))
