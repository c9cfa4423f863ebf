"""What became of every run, as a table: done or why not; where, how long and with which versions it trained."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd

from boomlib.files import StrPath, read_json
from boomlib.reasons import read_reason
from boomlib.runs import Run
from boomlib.unmade import find_failed, find_unmade

KEY = ("dataset", "property", "scheme", "model", "seed")
MEASURED = (
    "seconds",
    "peak_memory_mib",
    "peak_gpu_memory_mib",
    "resumed",
    "device",
    "prediction_device",
    "threads",
    "commit",
    "code",
)
"""Keys of ``run.json`` that are copied."""
SCORED = ("version", "split")
"""Keys of the metrics that are copied: of which benchmark's, and of which split's, a run's scores are."""
FITTED = ("pretrained", "epochs", "epoch_kept", "versions")
COLUMNS = (*KEY, "status", "reason", "log", "n_train", *MEASURED, *SCORED, *FITTED)
STAGES = {
    "prepare_molecules/{run.dataset}": ("data/{run.dataset}/molecules.parquet",),
    "make_split/{run.task}/{run.scheme}": ("tasks/{run.task}/{run.scheme}.parquet",),
    "train/{run.stem}": ("predictions/{run.stem}.parquet", "predictions/{run.stem}/run.json"),
    "evaluate/{run.stem}": ("metrics/{run.stem}.json", "resamples/{run.stem}.parquet"),
}
"""What stands between a source and the score of a run: by rule and the rest of its log's path, the files made."""


def find_outcome(results_dir: StrPath, run: Run, needs: Sequence[str] = ()) -> dict[str, str]:
    """``status`` (done, failed or missing), ``reason`` (one line) and ``log`` of a run.

    A failure record, which a later success removes, deleted predictions and files that a command has not made again
    outweigh metrics of an earlier run. A missing run names the first stage before it that has failed, with the reason
    and the log of that stage; else the first that has not made its files.

    Args:
        results_dir: the results folder, which lies beside ``logs``.
        run: the run.
        needs: the files that it stands on, in the order in which they are made; of a job within a command none, since
            Snakemake sees to them.
    """
    failed = find_failed(needs, Path(results_dir).parent)
    failure = Path(results_dir, "predictions", run.stem, "failure.json")
    if failure.is_file() and failed in (None, f"logs/train/{run.stem}.log"):
        record = read_json(failure)
        reason = " ".join(f"{record['error']}: {record['message']}".split())
        return {"status": "failed", "reason": reason, "log": record["log"] or ""}
    if failed is not None:
        return tell_missing(results_dir, failed)
    unmade = find_unmade(needs)
    if unmade is not None:
        reason = f"{name_rule(unmade)} has not run, or failed before its log began: then the terminal says why"
        return {"status": "missing", "reason": reason, "log": ""}
    made = [all(Path(results_dir, file.format(run=run)).is_file() for file in files) for files in STAGES.values()]
    if all(made[-2:]):
        return {"status": "done", "reason": "", "log": ""}
    return tell_missing(results_dir, f"logs/{list(STAGES)[made.index(False)].format(run=run)}.log")


def tell_missing(results_dir: StrPath, log: str) -> dict[str, str]:
    """The outcome of a run that lacks what the job with this ``log`` makes: why that failed, if it has run."""
    path = Path(results_dir).parent / log
    if path.is_file():
        return {"status": "missing", "reason": f"{name_rule(log)}: {read_reason(path)}", "log": log}
    return {"status": "missing", "reason": f"{name_rule(log)} has not run", "log": ""}


def list_failures(results_dir: StrPath, files: Iterable[str]) -> list[tuple[str, str, str]]:
    """Of ``files``, those whose own job has failed: the file, the reason and the log."""
    folder = Path(results_dir).parent
    failed = {file: log for file in files if (log := find_failed([file], folder)) is not None}
    return [(file, f"{name_rule(log)}: {read_reason(folder / log)}", log) for file, log in failed.items()]


def name_rule(log: str) -> str:
    """The rule of the job with this log, ``logs/{rule}/…`` or ``logs/{rule}.log``."""
    return log.split("/")[1].removesuffix(".log")


def read_record(folder: Path) -> dict[str, str]:
    """The columns of a finished run that its folder ``predictions/…/seed{seed}`` tells."""
    record = read_json(folder / "run.json")
    measured = {key: as_text(record.get(key)) for key in MEASURED}
    # of a model without that choice the key is absent, of one trained from scratch it is null
    start = (record["pretrained"] or "scratch") if "pretrained" in record else ""
    epochs, kept = read_epochs(folder / "history.csv")
    versions = " ".join(f"{package}=={version}" for package, version in record["versions"].items())
    return measured | {
        "n_train": as_text(record["molecules"]["train"]),
        "pretrained": start,
        "epochs": as_text(epochs),
        "epoch_kept": as_text(kept),
        "versions": versions,
    }


def as_text(value: object) -> str:
    """A cell of the table; None is empty."""
    return "" if value is None else str(value)


def read_epochs(history: Path) -> tuple[int | None, int | None]:
    """The last epoch and the one of the least RMSE on valid; None of a model that is not trained by epochs."""
    if not history.is_file():
        return None, None
    with history.open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if "epoch" in row]
    if not rows:
        return None, None
    errors = [float(row["valid_rmse"]) for row in rows]
    best = int(np.nanargmin(errors))  # an epoch whose RMSE was no number was not kept
    return int(rows[-1]["epoch"]), int(rows[best]["epoch"])


def tabulate_runs(
    results_dir: StrPath, runs: Iterable[Run], needs: Mapping[Run, Sequence[str]] = MappingProxyType({})
) -> pd.DataFrame:
    """One row a run, in the order of ``runs``; columns :data:`COLUMNS`, all of them text, empty where there is none.

    ``seconds``, ``peak_memory_mib``, ``peak_gpu_memory_mib`` (MiB), devices, ``threads``, ``commit`` and ``code``, a
    hash of what the training computes, are those of ``run.json``; ``version`` of the benchmark and ``split``, a hash,
    those of the metrics; ``n_train`` is molecules; ``versions`` are ``package==version`` with spaces between them.
    ``needs`` are the files that runs stand on, see :func:`find_outcome`.
    """
    rows = []
    for run in runs:
        row = dict.fromkeys(COLUMNS, "") | {key: str(getattr(run, key)) for key in KEY}
        row |= find_outcome(results_dir, run, needs.get(run, ()))
        if row["status"] == "done":
            row |= read_record(Path(results_dir, "predictions", run.stem))
            scores = read_json(Path(results_dir, "metrics", f"{run.stem}.json"))
            row |= {key: as_text(scores.get(key)) for key in SCORED}
        rows.append(row)
    return pd.DataFrame(rows, columns=COLUMNS, dtype=str)


def read_runs(path: StrPath) -> pd.DataFrame:
    """Read ``runs.csv``, the table of :func:`tabulate_runs`."""
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def list_recorded(records: pd.DataFrame) -> list[Run]:
    """The runs of the rows of a table of runs, in its order."""
    return [
        Run(dataset, name, scheme, model, int(seed))
        for dataset, name, scheme, model, seed in records[list(KEY)].itertuples(index=False, name=None)
    ]
