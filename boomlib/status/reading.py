"""The status of a configuration: all states together, and what is left of each run."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from boomlib.runs import Run
from boomlib.status.estimate import (
    Basis,
    Sample,
    Speeds,
    count_epochs,
    estimate_left,
    read_record,
    sample_running,
)
from boomlib.status.states import RESULTS, Checkout, JobState, RunState, Task, TaskState, count_folds
from boomlib.workflow import Plan


@dataclass(frozen=True)
class Left:
    """Seconds that a run will yet take, None if nothing tells, and by which other runs; None: by how far it is."""

    seconds: float | None
    basis: Basis | None = None


TAKEN = Left(0.0, "publication")


@dataclass(frozen=True)
class Status:
    """How far a configuration is.

    Attributes:
        now: the time, seconds since 1970.
        runs: the state of each run.
        left: what each run will yet take.
        jobs: what else is at work.
        tasks: the state of data and splits.
        sizes: molecules by fold of the tasks that there are.
    """

    now: float
    runs: list[RunState]
    left: Mapping[Run, Left]
    jobs: list[JobState]
    tasks: list[TaskState]
    sizes: Mapping[Task, Mapping[str, int]]

    def count(self, status: str) -> int:
        """The runs of a status."""
        return sum(each.status == status for each in self.runs)

    @property
    def seconds_left(self) -> float:
        """What all runs of which something tells will yet take, one after another."""
        return sum(each.seconds or 0.0 for each in self.left.values())


def read_status(plan: Plan, now: float) -> Status:
    """Read how far a configuration is, in the present folder.

    Args:
        plan: what the configuration asks for.
        now: the time, seconds since 1970.

    Raises:
        ContractError: a record is broken.
    """
    checkout = Checkout(plan, now)
    states = checkout.find_states()
    records = {each.run: read_record(each.run) for each in states if each.status == "done" or each.trained}
    sizes = read_sizes(plan, {get_task(run): sizes for run, (_, sizes) in records.items()})
    samples = [sample for sample, _ in records.values()]
    samples += sample_unfinished(states, samples, sizes)
    restored = {each.run for each in states if each.status != "done" and plan.find_restored(each.run)}
    left = estimate_all(states, Speeds(samples, plan.models, sizes)) | dict.fromkeys(restored, TAKEN)
    return Status(now, states, left, checkout.find_jobs(), checkout.find_tasks(), sizes)


def get_task(run: Run) -> Task:
    """The task of a run."""
    return run.dataset, run.property, run.scheme


def read_sizes(plan: Plan, known: Mapping[Task, Mapping[str, int]]) -> dict[Task, Mapping[str, int]]:
    """Molecules by fold of each task that there is: as ``known`` from a run, else as its table has them."""
    tables = {task: Path(RESULTS, "tasks", f"{'/'.join(task)}.parquet") for task in plan.tasks if task not in known}
    return {**known, **{task: count_folds(path) for task, path in tables.items() if path.is_file()}}


def sample_unfinished(
    states: list[RunState], samples: list[Sample], sizes: Mapping[Task, Mapping[str, int]]
) -> list[Sample]:
    """What running trainings take, of models that have not finished any on the dataset."""
    finished = {(each.run.model, each.run.dataset) for each in samples}
    running = [
        sample_running(each, sizes.get(get_task(each.run), {}).get("train"))
        for each in states
        if each.status == "running" and (each.run.model, each.run.dataset) not in finished
    ]
    return [each for each in running if each is not None]


def estimate_all(states: list[RunState], speeds: Speeds) -> dict[Run, Left]:
    """What each run will yet take."""
    finished: dict[tuple[str, str], list[Run]] = {}
    for each in states:
        if each.status == "done":
            finished.setdefault((each.run.model, each.run.dataset), []).append(each.run)
    left = {}
    for state in states:
        if state.status == "done":
            continue
        estimate = speeds.estimate(state.run)
        alike = finished.get((state.run.model, state.run.dataset), []) if state.status == "running" else []
        seconds = estimate_left(state, estimate, count_epochs(alike))
        by_itself = state.status == "running" and state.epochs is not None
        left[state.run] = Left(seconds, None if by_itself or estimate is None else estimate.basis)
    return left
