"""What the overviews of all models share: the ranking with one metric, and the models' axis."""

import os
from collections.abc import Mapping, Sequence, Set

import pandas as pd
from matplotlib.axes import Axes

from boomlib.evaluation.ranking import pivot, rank_models
from boomlib.evaluation.summary import read_metrics


def read_ranked(
    leaderboard_csv: str | os.PathLike, scheme: str, metric: str, labels: Mapping[str, str], controls: Set[str]
) -> tuple[pd.DataFrame, pd.DataFrame, list[str], int]:
    """The ranking, a metric on OOD in its order, the models' labels, and how many are no controls."""
    table = read_metrics(leaderboard_csv)
    ranking = rank_models(table, scheme, controls)
    values = pivot(table, scheme, metric, "ood").reindex(ranking.index)
    names = [labels[model] for model in ranking.index]
    return ranking, values, names, int((~ranking["control"]).sum())


def label_models(ax: Axes, names: Sequence[str], ranked: int) -> None:
    """Write the models' labels on the y axis, controls in italics below a line."""
    ax.set_yticks(range(len(names)), names)
    for text in ax.get_yticklabels()[ranked:]:
        text.set_style("italic")
    if 0 < ranked < len(names):
        ax.axhline(ranked - 0.5, color="0.2", lw=0.8, zorder=4)
