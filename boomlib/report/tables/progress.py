"""How much of a publication that grows is there: runs by model and task, and what these took."""

import pandas as pd

from boomlib.report.numbers import NONE
from boomlib.report.roles import Roles
from boomlib.report.tables.markdown import format_table


def tabulate_progress(records: pd.DataFrame, roles: Roles) -> str:
    """A row a model: of each task the seeds that are done of those asked for, hours of training, the largest memory.

    Args:
        records: the table of runs, see :func:`boomlib.evaluation.records.tabulate_runs`.
        roles: labels and sizes.
    """
    tasks = list(dict.fromkeys(zip(records["dataset"], records["property"], records["scheme"], strict=True)))
    schemes = {scheme for _, _, scheme in tasks}
    rows = []
    for model, runs in records.groupby("model", sort=False):
        done = runs[runs["status"] == "done"]
        asked, found = (each.groupby(["dataset", "property", "scheme"]).size() for each in (runs, done))
        cells = [f"{found.get(task, 0)} of {asked[task]}" if found.get(task, 0) else "pending" for task in tasks]
        seconds, memory = (pd.to_numeric(done[name]) for name in ("seconds", "peak_memory_mib"))
        # of a training that was interrupted the record has the seconds of its last process alone
        least = "≥ " if "True" in set(done["resumed"]) else ""
        spent = [f"{least}{seconds.sum() / 3600:.2f}", f"{memory.max():,.0f}"] if len(done) else [NONE, NONE]
        rows.append([roles.label(model), roles.sizes.get(model, NONE), *cells, *spent])
    names = ["/".join(task if len(schemes) > 1 else task[:2]) for task in tasks]
    return format_table(["Model", "Size", *names, "Hours", "MiB"], rows, text_columns=len(tasks) + 2)
