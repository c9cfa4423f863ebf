"""A model of which its predictions alone are known: others have made it, and hand in what it says of a task."""

import traceback
from pathlib import Path
from typing import Any

import numpy as np

from boomlib.contracts import PREDICTED_FOLDS, TASK, locating, read_predictions, read_table, write_predictions
from boomlib.files import ContractError, StrPath, read_json, sha256, write_json
from boomlib.harness.external import read_external
from boomlib.harness.interface import Model, Molecules, Prediction
from boomlib.harness.job import FAILURE, Job, read_task
from boomlib.provenance import commit_id, hash_training

UNKNOWN = "unknown"


class External(Model):
    """Says what a file says, and nothing of other molecules.

    Args:
        predictions: pattern of the files, with ``{dataset}``, ``{property}``, ``{scheme}`` and ``{seed}``, see
            :mod:`boomlib.external`.
        splits: the hash of the split that they answer, by dataset/property/scheme.
        version: version of the benchmark that these are of.
    """

    file: Path
    """The file of this task and seed."""

    def __init__(self, *, predictions: str, splits: dict[str, str], version: str, **common: Any) -> None:
        super().__init__(**common)
        self.predictions, self.splits, self.version = predictions, splits, version

    def fit(self, train: Molecules, valid: Molecules, folder: Path) -> None:
        """Nothing to learn: its makers have seen to it."""

    def predict(self, molecules: Molecules) -> Prediction:
        """What the file says; see :func:`boomlib.harness.external.read_external` for what is refused."""
        return read_external(self.file, molecules)

    def save(self, folder: Path) -> None:
        """Write where the file lies."""
        write_json(folder / "model.json", {"file": str(self.file)})

    def load(self, folder: Path) -> None:
        """Read it."""
        self.file = Path(read_json(folder / "model.json")["file"])


def take_predictions(job: Job, file: str, described: StrPath) -> None:
    """Write predictions and ``run.json`` of an external model, as :func:`boomlib.harness.job.train_and_predict` does.

    A job that fails leaves ``failure.json`` with the reason. ``run.json`` has the hash of the file, and says that
    device, time and memory are not known.

    Args:
        job: the job.
        file: the file of predictions.
        described: what :func:`boomlib.evaluation.task.describe_task` wrote of the task.

    Raises:
        ContractError: the file answers another split, or is wrong, see
            :func:`boomlib.harness.external.read_external`.
    """
    job.folder.mkdir(parents=True, exist_ok=True)
    (job.folder / FAILURE).unlink(missing_ok=True)
    code = hash_training(job.model["class"], job.model["parameters"], ())
    task = read_json(described)
    try:
        check_split(job.model["parameters"], task, f"{file}, by its descriptor's `splits`,", f"{described}")
        with locating(job.task):
            write_answers(job, file)
    except Exception as error:
        reason = {"error": type(error).__name__, "message": str(error), "log": job.log}
        write_json(job.folder / FAILURE, reason | {"traceback": traceback.format_exc()})
        raise
    known = {
        "model": job.model,
        "property": job.property,
        "seed": job.seed,
        "code": code,
        "molecules": task["folds"],
        "file": {"path": file, "sha256": sha256(file)},
        "commit": commit_id(),
    }
    unknown = dict.fromkeys(("threads", "seconds", "peak_memory_mib", "peak_gpu_memory_mib", "resumed"))
    write_json(job.run, known | unknown | {"device": UNKNOWN, "prediction_device": UNKNOWN, "versions": {}})


def check_split(parameters: dict[str, Any], task: dict[str, Any], file: str, described: str) -> None:
    """Raise :class:`ContractError` unless the split that predictions answer is this checkout's.

    Args:
        parameters: the descriptor's.
        task: the task as it is here.
        file: the predictions, for the message.
        described: the file of the task, likewise.
    """
    name = "{dataset}/{property}/{scheme}".format(**task)
    theirs, version = parameters["splits"][name], parameters["version"]
    if theirs != task["split"]:
        since = (
            f"of this version of the benchmark, {version}, so the source or the settings were others"
            if version == task["version"]
            else f"of version {version} of the benchmark, and this is {task['version']} (see CHANGELOG.md)"
        )
        raise ContractError(
            f"{file} answers split {theirs} of {name}, and ours is {task['split']} ({described}); theirs is {since}; "
            f"predict the molecules of results/tasks/{name}.parquet anew, and write that hash and version into the "
            "descriptor"
        )


def write_answers(job: Job, file: str) -> None:
    """Write what a file says of the molecules of valid, id and ood."""
    molecules, fold = read_task(job.task, {})
    asked = np.isin(fold, PREDICTED_FOLDS)
    model = External(**job.common, **job.model["parameters"])
    model.file = Path(file)
    predicted = model.predict(molecules.take(asked))
    write_predictions(
        job.predictions, molecules.molecule_id[asked], fold[asked].tolist(), predicted.mean, predicted.std
    )
    read_predictions(job.predictions, fold, read_table(job.task, TASK))
