"""What became of a run, from the files that it has left: done, or why not. Nothing heavy is imported."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from boomlib.files import StrPath, read_json
from boomlib.reasons import read_reason
from boomlib.runs import Run
from boomlib.unmade import find_failed, find_unmade

STAGES = {
    "prepare_molecules/{run.dataset}": ("data/{run.dataset}/molecules.parquet",),
    "make_split/{run.task}/{run.scheme}": ("tasks/{run.task}/{run.scheme}.parquet",),
    "train/{run.stem}": ("predictions/{run.stem}.parquet", "predictions/{run.stem}/run.json"),
    "evaluate/{run.stem}": ("metrics/{run.stem}.json", "resamples/{run.stem}.parquet"),
}
"""What stands between a source and the score of a run: by rule and the rest of its log's path, the files made."""


def find_outcome(results_dir: StrPath, run: Run, needs: Sequence[str] = (), *, scored: bool = True) -> dict[str, str]:
    """``status`` (done, failed or missing), ``reason`` (one line) and ``log`` of a run.

    A failure record, which a later success removes, deleted predictions and files that a command has not made again
    outweigh metrics of an earlier run. A missing run names the first stage before it that has failed, with the reason
    and the log of that stage; else the first that has not made its files.

    Args:
        results_dir: the results folder, which lies beside ``logs``.
        run: the run.
        needs: the files that it stands on, in the order in which they are made; of a job within a command none, since
            Snakemake sees to them.
        scored: whether its scores are asked for; of a run that trains for another one they are not.
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
    stages = list(STAGES) if scored else list(STAGES)[:-1]
    made = [all(Path(results_dir, file.format(run=run)).is_file() for file in STAGES[stage]) for stage in stages]
    if all(made[2:]):  # what training read may have been deleted since
        return {"status": "done", "reason": "", "log": ""}
    return tell_missing(results_dir, f"logs/{stages[made.index(False)].format(run=run)}.log")


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
