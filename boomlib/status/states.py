"""What has become of each run and of each task, by the files that are there now."""

import csv
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from boomlib.evaluation.outcomes import find_outcome, name_rule
from boomlib.reasons import read_reason
from boomlib.runs import Run
from boomlib.schemas import Entry
from boomlib.status.jobs import Epochs, is_at_work, measure_age, read_ends, read_epochs, read_share
from boomlib.unmade import find_failed, find_outstanding
from boomlib.workflow import Plan

RESULTS = "results"
Task = tuple[str, str, str]  # dataset, property, scheme


@dataclass(frozen=True)
class RunState:
    """What has become of a run.

    Attributes:
        run: the run.
        status: the word for it.
        reason: why it failed, or what it waits for; empty if there is no more to say.
        log: that of the job that failed.
        trained: whether only its scores are lacking.
        seconds: since when its training runs.
        epochs: how far that is; also of a training that was ended, which goes on from there.
    """

    run: Run
    status: Literal["done", "running", "pending", "failed"]
    reason: str = ""
    log: str = ""
    seconds: float = 0.0
    epochs: Epochs | None = None
    trained: bool = False


@dataclass(frozen=True)
class JobState:
    """A job beside trainings that is at work: its log, since how many seconds, and the share that is done."""

    log: str
    seconds: float
    share: float | None


@dataclass(frozen=True)
class TaskState:
    """``status`` of a task's data and split in words, and the ``rejects`` of its dataset, rows; None: not read yet."""

    task: Task
    status: str
    rejects: int | None


class Checkout:
    """The files of a checkout, the present folder, as they are ``now`` (seconds since 1970).

    Args:
        plan: what the configuration asks for.
        now: the time.
    """

    def __init__(self, plan: Plan, now: float) -> None:
        self.plan, self.now = plan, now
        self.is_at_work = functools.cache(functools.partial(is_at_work, now=now))
        members = [member for run in [*plan.runs, *plan.screens.runs] for member in plan.list_member_runs(run)]
        self.scored = frozenset([*plan.runs, *plan.screens.runs])
        self.runs = list(dict.fromkeys([*plan.runs, *plan.screens.runs, *members]))
        """All runs: of the leaderboard, of screens, and those whose predictions others read."""
        needs = {run: self.list_needs(run) for run in self.runs}
        marks = {file: find_outstanding(file) for file in {file for files in needs.values() for file in files}}
        self.marks = {file: log for file, log in marks.items() if log is not None}
        """What runs stand on and a command has set out to make and not made yet, each with the log of its job."""
        self.marked = {run: [file for file in files if file in self.marks] for run, files in needs.items()}

    def list_needs(self, run: Run) -> list[str]:
        """What the result of a run stands on."""
        return self.plan.list_needs(run) if run in self.scored else self.plan.list_training_needs(run)

    def find_states(self) -> list[RunState]:
        """The state of each run."""
        return [self.find_state(run) for run in self.runs]

    def find_state(self, run: Run) -> RunState:
        """The state of a run; one has failed if a command has tried it, or what it stands on, and has not made it."""
        marked, training = self.marked[run], f"logs/train/{run.stem}.log"
        outcome = find_outcome(RESULTS, run, marked, scored=run in self.scored)
        if outcome["status"] == "done":
            return RunState(run, "done")
        most = find_most_epochs(self.plan.models[run.model])
        if self.is_at_work(training):
            epochs = read_epochs(read_ends(training), most)
            return RunState(run, "running", "", training, measure_age(training, self.now), epochs)
        if outcome["log"] and self.is_at_work(outcome["log"]):
            return RunState(run, "pending", f"{name_rule(outcome['log'])} is at work")
        if outcome["status"] != "failed" and not (marked and outcome["log"]):  # else the log is of an earlier command
            return RunState(run, "pending", trained=self.is_trained(run))
        state = Path(RESULTS, "predictions", run.stem, "state")
        epochs = read_epochs(read_ends(training)) if any(state.glob("last.*")) else None
        return RunState(run, "failed", outcome["reason"], outcome["log"], epochs=epochs)

    def is_trained(self, run: Run) -> bool:
        """Whether the predictions of a run are there, and nothing that they stand on is to be made again."""
        made = [f"{RESULTS}/predictions/{run.stem}.parquet", f"{RESULTS}/predictions/{run.stem}/run.json"]
        stale = set(self.marked[run]) & {*self.plan.list_training_needs(run)}
        return not stale and all(Path(file).is_file() for file in made)

    def find_jobs(self) -> list[JobState]:
        """The jobs at work that runs wait for, but for trainings."""
        trainings = {f"logs/train/{run.stem}.log" for run in self.runs}
        return [
            JobState(log, measure_age(log, self.now), read_share(read_ends(log)))
            for log in sorted({*self.marks.values()} - trainings)
            if log and self.is_at_work(log)
        ]

    def find_tasks(self) -> list[TaskState]:
        """The state of the data and split of each task."""
        rejects = {name: count_rejects(name) for name in self.plan.run_datasets}
        return [TaskState(task, self.describe_task(task), rejects[task[0]]) for task in self.plan.tasks]

    def describe_task(self, task: Task) -> str:
        """Whether a task can be trained on, and if not, why."""
        made = f"{RESULTS}/tasks/{'/'.join(task)}.parquet"
        marked = [file for file in [*self.plan.list_split_needs(*task), made] if file in self.marks]
        at_work = [log for log in map(self.marks.__getitem__, marked) if log and self.is_at_work(log)]
        if at_work:
            return f"{name_rule(at_work[0])} is at work"
        failed = find_failed(marked)
        if failed is not None:
            return f"failed: {name_rule(failed)}: {read_reason(failed)} ({failed})"
        return "pending" if marked or not Path(made).is_file() else "ready"


def find_most_epochs(model: Entry) -> int | None:
    """The epochs of a model by its descriptor; None if it has none, or a budget, of which its log tells."""
    training = model["parameters"].get("training", {})
    found: int | None = training.get("epochs", training.get("max_num_epochs"))
    return None if "molecules_seen" in training else found


def count_rejects(dataset: str) -> int | None:
    """Rows of a dataset's ``rejects.csv``: rejected, merged, or without some labels; None if it does not exist yet."""
    path = Path(RESULTS, "data", dataset, "rejects.csv")
    if not path.is_file():
        return None
    with path.open(encoding="utf-8", newline="") as stream:
        return sum(1 for _ in csv.DictReader(stream))


def count_folds(path: Path) -> dict[str, int]:
    """Molecules by fold of a task table."""
    import pyarrow.parquet as pq

    folds = pq.read_table(path, columns=["fold"])["fold"].value_counts()
    return {str(each["values"]): int(each["counts"]) for each in folds.to_pylist()}
