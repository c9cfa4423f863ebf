"""The runs without a result, and what else could not be made."""

from collections.abc import Sequence

import pandas as pd

from boomlib.evaluation.records import list_recorded
from boomlib.report.tables.markdown import format_code, format_table

REASON_LENGTH = 500


def tabulate_failures(lost: pd.DataFrame, others: Sequence[tuple[str, str, str]] = ()) -> str:
    """One row for each run without a result and each other file; empty if there is none.

    Runs of a model that lack the same for the same reason, of which no log tells more, are one row.

    Args:
        lost: the runs' part of the table of runs.
        others: see :func:`boomlib.evaluation.outcomes.list_failures`.
    """
    found: dict[tuple[str, ...], list[str]] = {}
    for run, row in zip(list_recorded(lost), lost.itertuples(), strict=True):
        alike = run.stem if row.log else run.model
        found.setdefault((alike, row.status, row.reason, row.log), []).append(run.stem)
    for file, reason, log in others:
        found[file, "missing", reason, log] = [file]
    if not found:
        return ""
    cells = [
        [name_runs(names), status, format_code(shorten(reason)), format_code(log)]
        for (_, status, reason, log), names in found.items()
    ]
    return format_table(["Run", "Status", "Reason", "Log"], cells, text_columns=4)


def name_runs(names: Sequence[str]) -> str:
    """The first of several runs, and how many more there are."""
    first = format_code(names[0])
    return first if len(names) == 1 else f"{first} and {len(names) - 1} more of the model"


def shorten(reason: str) -> str:
    """A reason, or the beginning of a long one."""
    return reason if len(reason) <= REASON_LENGTH else reason[: REASON_LENGTH - 1] + "…"
