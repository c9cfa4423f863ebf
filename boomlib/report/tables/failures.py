"""The runs without a result, and what else could not be made."""

from collections.abc import Sequence

import pandas as pd

from boomlib.evaluation.records import list_recorded
from boomlib.report.tables.markdown import format_code, format_table

REASON_LENGTH = 500


def tabulate_failures(lost: pd.DataFrame, others: Sequence[tuple[str, str, str]] = ()) -> str:
    """One row for each run without a result and each other file; empty if there is none.

    Args:
        lost: the runs' part of the table of runs.
        others: see :func:`boomlib.evaluation.outcomes.list_failures`.
    """
    rows = [
        (run.stem, row.status, row.reason, row.log)
        for run, row in zip(list_recorded(lost), lost.itertuples(), strict=True)
    ] + [(file, "missing", reason, log) for file, reason, log in others]
    if not rows:
        return ""
    cells = [
        [format_code(what), status, format_code(shorten(reason)), format_code(log)]
        for what, status, reason, log in rows
    ]
    return format_table(["Run", "Status", "Reason", "Log"], cells, text_columns=4)


def shorten(reason: str) -> str:
    """A reason, or the beginning of a long one."""
    return reason if len(reason) <= REASON_LENGTH else reason[: REASON_LENGTH - 1] + "…"
