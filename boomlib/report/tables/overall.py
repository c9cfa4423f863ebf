"""The overall ranking of the models."""

from math import isnan

from boomlib.report.numbers import NONE, format_number
from boomlib.report.tables.markdown import format_table
from boomlib.report.tables.ranked import RankedModels

COLUMNS = ("Model", "Mean rank ↓", "Normalised OOD RMSE ↓", "OOD / ID ↓", "Tasks", "Runs")


def tabulate_ranking(ranked: RankedModels) -> str:
    """One row a model, the best first."""
    rows = [
        (
            ranked.names[row.Index],
            NONE if isnan(row.mean_rank) else f"{row.mean_rank:.2f}",
            format_number(row.normalised_rmse),
            format_number(row.ood_id_ratio),
            f"{row.tasks_done} of {row.tasks}",
            f"{row.runs_done} of {row.runs}",
        )
        for row in ranked.ranking.itertuples()
    ]
    return format_table(COLUMNS, rows)
