"""What pretraining saw of the molecules that are tested."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from boomlib.files import read_json
from boomlib.report.numbers import NONE
from boomlib.report.tables.markdown import format_table

COUNTS = ("exposed", "exposed_flat")
COLUMNS = ("Pretrained", "Task", "Scheme", "ID", "OOD", "ID, flat", "OOD, flat")
UNKNOWN = "unknown"


def tabulate_exposure(results_dir: Path, records: pd.DataFrame, models: Mapping[str, Mapping]) -> str:
    """For each checkpoint and task, how many molecules of ID and OOD its corpus held; empty if none was started from.

    Args:
        results_dir: the folder of results, for what :func:`boomlib.text.exposure.count_exposed` has written.
        records: the table of runs, see :func:`boomlib.evaluation.records.tabulate_runs`.
        models: descriptors of the models of the runs. Of a checkpoint that was not made here the corpus is unknown.
    """
    rows = {}
    started = records[(records["status"] == "done") & ~records["pretrained"].isin(["", "scratch"])]
    columns = ["pretrained", "dataset", "property", "scheme", "model"]
    for source, dataset, name, scheme, model in started[columns].itertuples(index=False, name=None):
        task, cells = f"{dataset}/{name}", [UNKNOWN] * 4
        if models[model]["parameters"].get("pretrained") == "mlm":
            cells = count_cells(results_dir / "exposure" / task / f"{scheme}.json")
        rows[source, task, scheme] = cells
    return format_table(COLUMNS, [[*key, *cells] for key, cells in rows.items()], text_columns=3) if rows else ""


def count_cells(path: Path) -> list[str]:
    """The counts of one task; — where they have not been made."""
    if not path.is_file():
        return [NONE] * 4
    counts = read_json(path)
    return [f"{counts[fold][each]:,} of {counts[fold]['molecules']:,}" for each in COUNTS for fold in ("id", "ood")]
