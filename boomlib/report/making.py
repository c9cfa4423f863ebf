"""By what version and commits the runs of a page were made, and which of them would be made otherwise today."""

from collections.abc import Mapping

import pandas as pd

from boomlib.declared import order_features
from boomlib.provenance import hash_training
from boomlib.version import VERSION

FIRST = "0.1.0"  # whose tables of runs do not name it


def find_version(records: pd.DataFrame) -> str:
    """The version of the benchmark that scored the runs: :func:`boomlib.evaluation.summary.summarise` sees to one."""
    if "version" not in records:
        return FIRST
    return next(filter(None, records["version"]), VERSION)


def list_changed(records: pd.DataFrame, models: Mapping[str, Mapping]) -> list[str]:
    """Labels of the models whose code, features or hyper-parameters are others than those of the runs.

    Args:
        records: the table of runs, see :func:`boomlib.evaluation.records.tabulate_runs`.
        models: descriptors of today; a model that has gone counts as changed, under its name.
    """
    changed = []
    for name, runs in records[records["status"] == "done"].groupby("model", sort=False):
        model = models.get(name)
        now = model and hash_training(model["class"], model["parameters"], order_features(model["features"]))
        if set(runs["code"]) != {now}:
            changed.append(model["label"] if model else name)
    return changed


def describe_making(records: pd.DataFrame, models: Mapping[str, Mapping] | None = None) -> str:
    """One paragraph: version, commits and, given the descriptors of today, what has changed since."""
    version, commits = find_version(records), sorted({each for each in records["commit"] if each})
    named = f"commit{'s' * (len(commits) > 1)} {', '.join(commits) or 'unknown'}"
    made = f"Version {version} of the benchmark, made by {named}."
    if version != VERSION:
        return (
            f"{made} **Changed since**: the benchmark, whose version {VERSION} may give other numbers (CHANGELOG.md)."
        )
    changed = [] if models is None else list_changed(records, models)
    return f"{made} **Changed since**: what trains {', '.join(changed)}." if changed else made
