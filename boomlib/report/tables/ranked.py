"""What the tables of one scheme share: its metrics as models by tasks, and the names of both."""

from collections.abc import Mapping

import pandas as pd

from boomlib.evaluation.ranking import find_best, pivot, rank_models
from boomlib.report.roles import Roles


class RankedModels:
    """The metrics of one scheme; models in the order of the ranking, controls last and in italics.

    Args:
        metrics: the tidy table, see :func:`boomlib.evaluation.summary.tabulate_metrics`.
        scheme: the scheme.
        roles: labels and controls.
        units: unit by (dataset, property).
    """

    def __init__(self, metrics: pd.DataFrame, scheme: str, roles: Roles, units: Mapping[tuple[str, str], str]) -> None:
        self.metrics = metrics[metrics["scheme"] == scheme]
        self.scheme = scheme
        self.controls = roles.controls
        self.ranking = rank_models(metrics, scheme, roles.controls)
        self.names = {
            model: f"*{roles.label(model)}*" if control else roles.label(model)
            for model, control in self.ranking["control"].items()
        }
        tasks = self.select("rmse", "ood").columns
        self.titles = {task: f"{'/'.join(task)} ({units[task]})" for task in tasks}

    def select(self, metric: str, fold: str, column: str = "mean") -> pd.DataFrame:
        """Models by tasks of one column of the tidy table, models in the order of the ranking."""
        return pivot(self.metrics, self.scheme, metric, fold, column).reindex(self.ranking.index)

    def find_best(self, fold: str) -> pd.DataFrame:
        """Which models are best in a fold, bool, models by tasks, models in the order of the ranking."""
        return find_best(self.metrics, self.scheme, fold, self.controls).reindex(self.ranking.index)
