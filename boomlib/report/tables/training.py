"""How models were trained: on what device, from which weights, for how long. A table of the leaderboard."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from boomlib.report.tables.markdown import NONE, markdown_table
from boomlib.runs import Run


def training_table(results_dir: Path, runs: Sequence[Run], labels: Mapping[str, str]) -> str:
    """Device, pretraining, epochs and the epochs kept of every model, over its finished runs; — for what has none.

    Args:
        results_dir: the folder of results; ``run.json`` and ``history.csv`` of each run are read.
        runs: finished runs, in the order of the table.
        labels: name for people, by model.
    """
    rows = []
    for model in dict.fromkeys(run.model for run in runs):
        folders = [results_dir / "predictions" / run.stem for run in runs if run.model == model]
        records = [json.loads((folder / "run.json").read_text(encoding="utf-8")) for folder in folders]
        devices = sorted({record["device"] for record in records})
        starts = sorted({record.get("pretrained", NONE) or "scratch" for record in records})
        epochs = [found for folder in folders if (found := read_epochs(folder / "history.csv"))]
        trained, kept = (extent(each) for each in zip(*epochs, strict=True)) if epochs else (NONE, NONE)
        rows.append([labels.get(model, model), ", ".join(devices), "; ".join(starts), trained, kept])
    return markdown_table(["Model", "Device", "Pretrained", "Epochs", "Epoch kept"], rows, text_columns=3)


def read_epochs(history: Path) -> tuple[int, int] | None:
    """The last epoch and the one of the least RMSE on valid; None of a model that is not trained by epochs."""
    if not history.is_file():
        return None
    with history.open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if "epoch" in row]
    if not rows:
        return None
    best = min(rows, key=lambda row: float(row["valid_rmse"]))
    return int(rows[-1]["epoch"]), int(best["epoch"])


def extent(values: Sequence[int]) -> str:
    """A number, or the smallest and the largest."""
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low}–{high}"
