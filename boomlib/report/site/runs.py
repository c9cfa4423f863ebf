"""The data of single runs: time, memory, device, versions, and the log of one that has failed."""

from pathlib import Path
from typing import Any

from boomlib.evaluation.records import list_recorded
from boomlib.report.numbers import format_number
from boomlib.report.site.source import Source

SHOWN = (
    "seed",
    "status",
    "reason",
    "log",
    "n_train",
    "peak_memory_mib",
    "peak_gpu_memory_mib",
    "resumed",
    "device",
    "threads",
    "commit",
    "epochs",
    "epoch_kept",
    "versions",
)
"""Columns of the table of runs that are shown as they are."""
LAST = 60
"""Lines of a log that are shown, its last ones."""


def list_runs(source: Source) -> list[dict[str, Any]]:
    """A row a run, in the order of the table of runs."""
    return [
        describe_run(source.results, run.stem, row) | {"model": run.model, "task": run.task, "scheme": run.scheme}
        for run, row in zip(list_recorded(source.records), source.records.to_dict("records"), strict=True)
    ]


def describe_run(results: Path, stem: str, row: dict[str, str]) -> dict[str, Any]:
    """One row: what the table says, seconds as number and text, the file of predictions and the end of the log."""
    seconds = float(row["seconds"]) if row.get("seconds") else None
    done = row["status"] == "done"
    return {key: row[key] for key in SHOWN if row.get(key)} | {
        "seconds": [seconds, format_number(seconds)],
        "predictions": f"{stem}.parquet" if done else "",
        "end_of_log": "" if done else read_end(results.parent / row["log"]) if row["log"] else "",
    }


def read_end(log: Path) -> str:
    """The last lines of a log; nothing without one."""
    if not log.is_file():
        return ""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST:])
