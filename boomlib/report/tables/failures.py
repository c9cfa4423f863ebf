"""The runs without a result."""

import pandas as pd

from boomlib.evaluation.records import list_recorded
from boomlib.report.tables.markdown import format_code, format_table

REASON_LENGTH = 200


def tabulate_failures(lost: pd.DataFrame) -> str:
    """One row for each run without a result: ``lost`` is their part of the table of runs."""
    rows = []
    for run, row in zip(list_recorded(lost), lost.itertuples(), strict=True):
        reason = row.reason if len(row.reason) <= REASON_LENGTH else row.reason[: REASON_LENGTH - 1] + "…"
        rows.append([format_code(run.stem), row.status, format_code(reason), format_code(row.log)])
    return format_table(["Run", "Status", "Reason", "Log"], rows, text_columns=4)
