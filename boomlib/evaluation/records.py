"""What became of every run, as a table: done or why not; where, how long and with which versions it trained."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd

from boomlib.evaluation.outcomes import find_outcome
from boomlib.files import StrPath, read_json
from boomlib.runs import Run

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


def list_epochs(history: Path) -> list[dict[str, str]]:
    """The rows of a ``history.csv``, one an epoch; none of a model that is not trained by epochs."""
    if not history.is_file():
        return []
    with history.open(encoding="utf-8", newline="") as stream:
        return [row for row in csv.DictReader(stream) if "epoch" in row]


def read_curve(history: Path) -> tuple[list[int], list[float]]:
    """The curve of a ``history.csv``, see :func:`find_curve`."""
    return find_curve(list_epochs(history))


def find_curve(rows: Iterable[Mapping[str, str]]) -> tuple[list[int], list[float]]:
    """Of rows of :func:`list_epochs` the epochs, and the RMSE on valid after each, NaN included.

    Of a training in two phases the first: the second leaves a molecule's own outcome as it is, and is judged by
    ``valid_gap``.
    """
    first = [row for row in rows if row.get("valid_gap", "") in ("", "nan")]
    return [int(row["epoch"]) for row in first], [float(row["valid_rmse"]) for row in first]


def read_epochs(history: Path) -> tuple[int | None, int | None]:
    """The last epoch of all and the one of the least RMSE on valid; None of a model that is not trained by epochs."""
    rows = list_epochs(history)
    if not rows:
        return None, None
    epochs, errors = find_curve(rows)
    kept = epochs[int(np.nanargmin(errors))]  # an epoch whose RMSE was no number was not kept
    return int(rows[-1]["epoch"]), kept


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
