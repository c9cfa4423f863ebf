"""One task through Snakemake on a workstation's profile, so that rules and the GPU's tags are tried too."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import yaml

from boomlib.contracts import TASK, read_table
from boomlib.files import read_json, write_text
from boomlib.provenance import ROOT

MOLECULES = 200
MODELS = ("egnn_small", "chemberta_small")
CONFIG = {
    "datasets": {
        "sample": {
            "reader": "table",
            "label": "Sample",
            "file": "sample.csv",
            "properties": {"y": {"unit": "1", "kind": "extensive"}},
        }
    },
    "tasks": ["sample/y"],
    "schemes": ["kde"],
    "seeds": [0],
    "models": ["train_mean", *(f"short_{name}" for name in MODELS)],
    "variants": {
        f"short_{name}": {"of": name, "label": f"{name}, 3 epochs", "parameters": {"training": {"epochs": 3}}}
        for name in MODELS
    },
}


def run_for(command: list[str], log: Path, limit: float) -> None:
    """Run a command, whose output goes to ``log``; after ``limit`` seconds end it with all that it has started.

    Raises:
        subprocess.TimeoutExpired: it took longer.
        subprocess.CalledProcessError: it failed.
    """
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            status = process.wait(limit)
        except BaseException:  # also what interrupts this process, which no longer reaches the other
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
    if status:
        raise subprocess.CalledProcessError(status, command)


def run_workflow(data: Path, folder: Path, limit: float) -> dict:
    """Run a benchmark of two networks on molecules of ``data`` that have labels.

    Args:
        data: folder with a task table.
        folder: where it runs, and what it makes stays; a later run makes all of it anew.
        limit: seconds after which it is stopped.

    Returns:
        Seconds, and by model where it was trained and what that took; or why it failed.
    """
    folder.mkdir(exist_ok=True)
    table = read_table(data / "task.parquet", TASK).select(["smiles", "y"]).drop_null()
    table.slice(0, MOLECULES).to_pandas().to_csv(folder / "sample.csv", index=False)
    write_text(folder / "config.yaml", yaml.safe_dump(CONFIG))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--workflow-profile", str(ROOT / "profiles/workstation"), "--configfile", str(folder / "config.yaml")]
    start, log = time.monotonic(), folder / "run.log"
    try:
        run_for([*command, "--directory", str(folder), "--forceall", "results/leaderboard.md"], log, limit)
    except subprocess.SubprocessError as error:
        return {"failed": f"{type(error).__name__}, see {log}"}
    runs = {name: folder / f"results/predictions/sample/y/kde/short_{name}/seed0/run.json" for name in MODELS}
    records = {name: read_json(path) for name, path in runs.items()}
    return {
        "seconds": time.monotonic() - start,
        "runs": {name: {key: record[key] for key in ("device", "seconds")} for name, record in records.items()},
    }
