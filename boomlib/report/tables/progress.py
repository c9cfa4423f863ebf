"""How much of a publication that grows is there: runs by model and task, and what these took."""

from collections.abc import Sequence

import pandas as pd

from boomlib.report.numbers import NONE
from boomlib.report.roles import Roles
from boomlib.report.tables.markdown import format_table


def tabulate_progress(records: pd.DataFrame, roles: Roles) -> str:
    """A row a model: of each task the seeds that are done of those asked for, hours of training, the largest memory,
    and the hours that are left by :func:`estimate_left`.

    Args:
        records: the table of runs, see :func:`boomlib.evaluation.records.tabulate_runs`.
        roles: labels and sizes.
    """
    tasks = list(dict.fromkeys(zip(records["dataset"], records["property"], records["scheme"], strict=True)))
    rows = []
    for name, runs in records.groupby("model", sort=False):
        model = str(name)
        done = runs[runs["status"] == "done"]
        asked, found = (each.groupby(["dataset", "property", "scheme"]).size() for each in (runs, done))
        cells = [f"{found.get(task, 0)} of {asked[task]}" if found.get(task, 0) else "pending" for task in tasks]
        seconds, memory = (pd.to_numeric(done[name]) for name in ("seconds", "peak_memory_mib"))
        # of a training that was interrupted the record has the seconds of its last process alone
        least = "≥ " if "True" in set(done["resumed"]) else ""
        spent = [f"{least}{seconds.sum() / 3600:.2f}", f"{memory.max():,.0f}"] if len(done) else [NONE, NONE]
        rows.append([roles.label(model), roles.sizes.get(model, NONE), *cells, *spent, estimate_left(runs)])
    header = ["Model", "Size", *name_tasks(tasks), "Hours", "MiB", "Hours left"]
    return format_table(header, rows, text_columns=len(tasks) + 2)


def estimate_left(runs: pd.DataFrame) -> str:
    """The hours of training that a model's lacking runs will take, each as the mean of its runs on the dataset.

    "≥ " before it: of another dataset there is no run to tell, or one was interrupted, whose record has the seconds of
    its last process alone; "—": of none there is.
    """
    done = runs["status"] == "done"
    usual = pd.to_numeric(runs["seconds"]).where(done).groupby(runs["dataset"]).transform("mean")
    lacking = usual[~done]
    if lacking.isna().all():
        return NONE if len(lacking) else "0.00"
    interrupted = set(runs.loc[done & (runs["resumed"] == "True"), "dataset"])
    least = lacking.isna().any() or runs.loc[~done, "dataset"].isin(interrupted).any()
    return ("≥ " if least else "") + f"{lacking.sum() / 3600:.2f}"


def name_tasks(tasks: Sequence[tuple[str, str, str]]) -> list[str]:
    """The names of tasks (dataset, property, scheme), with the scheme where there are several."""
    several = len({scheme for _, _, scheme in tasks}) > 1
    return ["/".join(task if several else task[:2]) for task in tasks]


def name_properties(tasks: Sequence[Sequence[str]]) -> list[str]:
    """The properties of tasks (dataset, property), with the dataset where two tasks have one property."""
    properties = [name for _, name in tasks]
    return properties if len(set(properties)) == len(properties) else ["/".join(task) for task in tasks]
