"""The status as Markdown."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from math import isfinite
from textwrap import shorten

from boomlib.report.tables.markdown import format_code, format_table
from boomlib.report.tables.progress import name_tasks
from boomlib.status.reading import Status, get_task
from boomlib.status.states import RunState, Task

NONE = "—"
REASON_LENGTH = 300
BASES = {
    None: "by how far it is",
    "dataset": "by runs of the model on the dataset",
    "model": "by runs of the model on others, by molecules seen in training",
    "family": "by runs of its family, by molecules seen in training",
    "publication": "as taken from a publication",
}


def write_status(status: Status) -> str:
    """The page of a status."""
    parts = [
        "# Status",
        summarise(status),
        "## Data\n\nRejects are the rows of `results/data/…/rejects.csv`.",
        tabulate_tasks(status),
        "## Runs\n\nSeeds done of seeds; what is not said to run or to have failed is pending, — is not applicable.",
        tabulate_models(status),
    ]
    running, failed = tabulate_running(status), tabulate_failed(status)
    parts += ["## Running", running] if running else []
    parts += ["## Failed\n\nThe same command tries them again.", failed] if failed else []
    return "\n\n".join(parts) + "\n"


def summarise(status: Status) -> str:
    """When this was, how many runs are done, and what is left by what."""
    counts = ", ".join(f"{status.count(each)} {each}" for each in ("running", "pending", "failed"))
    lines = [f"{format_time(status.now)}: of {len(status.runs)} runs {status.count('done')} are done, {counts}."]
    if not status.left:
        return lines[0]
    told = [each for each in status.left.values() if each.seconds is not None]
    if told:
        found = [(sum(each.basis == basis for each in told), text) for basis, text in BASES.items()]
        bases = ", ".join(f"{n} {text}" for n, text in found if n)
        lines.append(
            f"**Left: {format_hours(status.seconds_left)} hours** of one job after another, for trainings and their "
            f"scores. Of the runs are estimated {bases}."
        )
    unknown = list(dict.fromkeys(run.model for run, each in status.left.items() if each.seconds is None))
    if unknown:
        runs = len(status.left) - len(told)
        lines.append(f"**Unknown** is what {runs} runs will take, since none like them has run: {', '.join(unknown)}.")
    return "\n\n".join(lines)


def tabulate_tasks(status: Status) -> str:
    """A row a task: what has become of its data, how large its folds are, what was rejected."""
    rows = []
    for each in status.tasks:
        sizes = status.sizes.get(each.task, {})
        folds = [f"{sizes[fold]:,}" if fold in sizes else NONE for fold in ("train", "id", "ood")]
        rejects = NONE if each.rejects is None else f"{each.rejects:,}"
        rows.append([*each.task, each.status, *folds, rejects])
    header = ["Dataset", "Property", "Scheme", "Status", "train", "ID", "OOD", "Rejects"]
    return format_table(header, rows, text_columns=4)


def tabulate_models(status: Status) -> str:
    """A row a model, a column a task, and the hours that are left of the model."""
    tasks = list(dict.fromkeys(get_task(each.run) for each in status.runs))
    cells: dict[str, dict[Task, list[RunState]]] = {}
    for each in status.runs:
        cells.setdefault(each.run.model, {}).setdefault(get_task(each.run), []).append(each)
    rows = [
        [model, *(count_states(found.get(task, [])) for task in tasks), sum_left(status, model)]
        for model, found in cells.items()
    ]
    return format_table(["Model", *name_tasks(tasks), "Hours left"], rows, text_columns=len(tasks) + 1)


def count_states(states: Sequence[RunState]) -> str:
    """How many seeds are done, and which words hold of others."""
    if not states:
        return NONE
    counts = {word: sum(each.status == word for each in states) for word in ("done", "running", "failed", "pending")}
    if counts["pending"] == len(states):
        return "pending"
    others = [f"{counts[word]} {word}" for word in ("running", "failed") if counts[word]]
    return ", ".join([f"{counts['done']} of {len(states)}", *others])


def sum_left(status: Status, model: str) -> str:
    """Hours that are left of a model; at least so many if of some runs nothing tells."""
    left = [each.seconds for run, each in status.left.items() if run.model == model]
    told = [seconds for seconds in left if seconds is not None]
    if not left:
        return NONE
    if not told:
        return "unknown"
    return ("≥ " if len(told) < len(left) else "") + format_hours(sum(told))


def tabulate_running(status: Status) -> str:
    """A row a job that is at work: how far it is, since when, and when it will end; empty if there is none."""
    rows = []
    for each in status.runs:
        if each.status == "running":
            epochs, left = each.epochs, status.left[each.run].seconds
            progress = f"epoch {min(int(epochs.done) + 1, epochs.most)} of {epochs.most}" if epochs else NONE
            rows.append([format_code(each.run.stem), progress, *tell_times(status.now, each.seconds, left)])
    for job in status.jobs:
        left = job.seconds * (1 - job.share) / job.share if job.share else None
        progress = NONE if job.share is None else f"{100 * job.share:.0f} %"
        name = job.log.removeprefix("logs/").removesuffix(".log")
        rows.append([format_code(name), progress, *tell_times(status.now, job.seconds, left)])
    return format_table(["Run or job", "Progress", "Minutes so far", "Ends"], rows, text_columns=2) if rows else ""


def tell_times(now: float, seconds: float, left: float | None) -> Iterable[str]:
    """Minutes so far, and the time of the end."""
    return f"{seconds / 60:.0f}", "unknown" if left is None else format_time(now + left)


def tabulate_failed(status: Status) -> str:
    """A row a run that has failed, or waits for something that has; empty if there is none."""
    rows = []
    for each in status.runs:
        if each.status == "failed":
            reason = format_code(shorten(each.reason, REASON_LENGTH, placeholder="…"))
            if each.epochs:
                reason += f" (goes on from epoch {int(each.epochs.done)} of {each.epochs.most})"
            rows.append([format_code(each.run.stem), reason, format_code(each.log)])
    return format_table(["Run", "Reason", "Log"], rows, text_columns=3) if rows else ""


def format_hours(seconds: float) -> str:
    """Hours, with two digits or more."""
    hours = seconds / 3600
    return f"{hours:.{0 if hours >= 10 else 1 if hours >= 1 else 2}f}" if isfinite(hours) else NONE


def format_time(seconds: float) -> str:
    """A time (seconds since 1970) where this runs."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M %Z")
