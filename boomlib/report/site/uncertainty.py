"""The data of a task's page on intervals and flags: the cells that the leaderboard has."""

from typing import Any

from boomlib.report.site.source import Source
from boomlib.report.tables.ranked import RankedModels
from boomlib.report.tables.uncertainty import FLAGGED, INTERVALS, list_flags, list_intervals, read_judged


def describe_intervals(source: Source, task: tuple[str, str, str]) -> dict[str, Any] | None:
    """What intervals of one task promise, and the two tables as columns and rows; None where none are judged.

    Args:
        source: tables and entries.
        task: dataset, property and scheme.
    """
    *place, scheme = task
    units = {each: source.describe_property(*each)["unit"] for each in source.tasks}
    judged = read_judged(source.results, tuple(place), RankedModels(source.metrics, scheme, source.roles, units))
    if not judged:
        return None
    return {
        "promise": f"{100 * next(iter(judged.values()))['confidence']:.0f} %",
        "intervals": {"columns": INTERVALS, "rows": list_intervals(judged)},
        "flags": {"columns": FLAGGED, "rows": list_flags(judged)},
    }
