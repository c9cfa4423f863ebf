"""What committees are made of: the weight of each member, by run."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from boomlib.report.numbers import NONE, format_percent
from boomlib.report.roles import Roles
from boomlib.report.tables.markdown import format_table
from boomlib.runs import Run

RUN_COLUMNS = ["Task", "Scheme", "Committee", "Seed"]


def tabulate_committees(results_dir: Path, runs: Sequence[Run], roles: Roles) -> str:
    """A row a run of a committee, a column a member: its weight; — for a model that is no member there.

    Empty without committees. A run that has left no ``history.csv`` is left out.

    Args:
        results_dir: the folder of results.
        runs: finished runs.
        roles: names and committees.
    """
    weights = {run: read_weights(results_dir / "predictions" / run.stem) for run in runs if run.model in roles.members}
    found = {run: each for run, each in weights.items() if each}
    members = list(dict.fromkeys(member for each in found.values() for member in each))
    rows = [
        [run.task, run.scheme, roles.label(run.model), str(run.seed)]
        + [format_percent(each[member]) if member in each else NONE for member in members]
        for run, each in found.items()
    ]
    columns = RUN_COLUMNS + [roles.labels.get(member, member) for member in members]
    return format_table(columns, rows, text_columns=len(RUN_COLUMNS)) if rows else ""


def read_weights(folder: Path) -> Mapping[str, float]:
    """Weights by member, of ``history.csv`` in a run's folder; none if it is not there."""
    history = folder / "history.csv"
    if not history.is_file():
        return {}
    with history.open(encoding="utf-8", newline="") as stream:
        return {row["member"]: float(row["weight"]) for row in csv.DictReader(stream)}
