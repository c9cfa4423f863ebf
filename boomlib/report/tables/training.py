"""How models were trained: on what device, from which weights, for how many epochs; and with which versions."""

from collections.abc import Iterable

import pandas as pd

from boomlib.report.numbers import NONE
from boomlib.report.roles import Roles
from boomlib.report.tables.markdown import format_table

COLUMNS = ("Model", "Size", "Device", "Pretrained", "Epochs", "Molecules seen", "Epoch kept")


def tabulate_training(records: pd.DataFrame, roles: Roles) -> str:
    """Size, device, pretraining, epochs and the epochs kept of every model but the controls; — for what has none.

    Molecules seen are epochs times the molecules of train.

    Args:
        records: the table of runs, see :func:`boomlib.evaluation.records.tabulate_runs`.
        roles: labels, controls and sizes.
    """
    trained = records[(records["status"] == "done") & ~records["model"].isin(roles.controls)]
    rows = []
    for model, runs in trained.groupby("model", sort=False):
        devices = sorted(set(runs["device"]))
        starts = sorted({start or NONE for start in runs["pretrained"]})
        epochs, kept = (format_extent(runs[column]) for column in ("epochs", "epoch_kept"))
        seen = [
            str(int(run.epochs) * int(run.n_train)) if run.epochs else ""
            for run in runs[["epochs", "n_train"]].itertuples()
        ]
        size = roles.sizes.get(model, NONE)
        rows.append(
            [roles.label(model), size, ", ".join(devices), "; ".join(starts), epochs, format_extent(seen), kept]
        )
    return format_table(COLUMNS, rows, text_columns=4)


def format_extent(values: Iterable[str]) -> str:
    """A whole number, or the smallest and the largest; — where all are empty."""
    numbers = sorted({int(value) for value in values if value})
    return "–".join(f"{number:,}" for number in dict.fromkeys((numbers[0], numbers[-1]))) if numbers else NONE


def list_versions(records: pd.DataFrame) -> str:
    """Every package that a run had loaded with its version, with all of them where runs differ."""
    found: dict[str, dict[str, None]] = {}
    for versions in records["versions"]:
        for package, _, version in (each.partition("==") for each in versions.split()):
            found.setdefault(package, {})[version] = None
    return ", ".join(f"{package} {' and '.join(versions)}" for package, versions in found.items())
