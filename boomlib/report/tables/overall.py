"""The overall ranking of the models."""

from collections.abc import Mapping
from math import isnan

from boomlib.report.needs import describe_needs
from boomlib.report.numbers import NONE, format_number
from boomlib.report.tables.markdown import format_table
from boomlib.report.tables.ranked import RankedModels

COLUMNS = ("Model", "Needs", "Mean rank ↓", "Normalised OOD RMSE ↓", "OOD / ID ↓", "Tasks", "Runs")


def tabulate_ranking(ranked: RankedModels, needs: Mapping[str, Mapping[str, str]]) -> str:
    """One row a model, the best first.

    Args:
        ranked: the models of a scheme.
        needs: what each needs on each dataset, see :func:`boomlib.report.needs.list_needs`.
    """
    datasets = dict.fromkeys(dataset for dataset, _ in ranked.titles)
    rows = [
        (
            ranked.names[row.Index],
            describe_needs({name: need for name, need in needs.get(row.Index, {}).items() if name in datasets}),
            NONE if isnan(row.mean_rank) else f"{row.mean_rank:.2f}",
            format_number(row.normalised_rmse),
            format_number(row.ood_id_ratio),
            f"{row.tasks_done} of {row.tasks}",
            f"{row.runs_done} of {row.runs}",
        )
        for row in ranked.ranking.itertuples()
    ]
    return format_table(COLUMNS, rows, text_columns=2)
