"""How long what is left will take, by what is done: seconds of one job after another, trainings and their scores."""

import csv
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Literal

from boomlib.files import read_json
from boomlib.registry import Entries
from boomlib.runs import Run
from boomlib.status.jobs import read_ends, read_epochs
from boomlib.status.states import RESULTS, RunState, Task, find_most_epochs

Basis = Literal["dataset", "model", "family", "publication"]


@dataclass(frozen=True)
class Sample:
    """What a run has taken, or takes by how far it is.

    Attributes:
        run: the run.
        training: seconds of its training.
        besides: seconds that its jobs take besides, to begin and to score; None if not known yet.
        molecules: of train; None if not known yet.
    """

    run: Run
    training: float
    besides: float | None
    molecules: int | None


@dataclass(frozen=True)
class Estimate:
    """Seconds of a run's ``training`` and of what its jobs take ``besides``, and by which other runs.

    ``basis`` is ``dataset``: those of its model on its dataset; ``model``: those of its model on others, by molecules
    seen in training; ``family``: those of its family, likewise.
    """

    training: float
    besides: float
    basis: Basis


def read_record(run: Run) -> tuple[Sample, Mapping[str, int]]:
    """What a finished run has taken, and its molecules by fold.

    The record of a training that was interrupted has the seconds of its last process alone, whose log tells in which
    epoch it began.
    """
    folder, logs = Path(RESULTS, "predictions", run.stem), Path("logs")
    record = read_json(folder / "run.json")
    seconds = float(record.get("seconds") or 0.0)
    wall, scoring = (read_wall(logs / rule / f"{run.stem}.tsv") for rule in ("train", "evaluate"))
    besides = max(0.0, wall - seconds) + scoring
    if record.get("resumed"):
        epochs = read_epochs(read_ends(f"logs/train/{run.stem}.log"))
        if epochs is not None:
            seconds *= epochs.done / (epochs.done - epochs.before)
    sizes: Mapping[str, int] = record["molecules"]
    return Sample(run, seconds, besides, sizes["train"]), sizes


def read_wall(benchmark: Path) -> float:
    """Seconds that a job has taken in all, by Snakemake's record; 0 where there is none."""
    if not benchmark.is_file():
        return 0.0
    with benchmark.open(encoding="utf-8", newline="") as stream:
        return float(next(csv.DictReader(stream, delimiter="\t"))["s"])


def count_epochs(runs: Iterable[Run]) -> float | None:
    """The mean number of epochs that finished runs were trained, by their history; None if they have none."""
    counts = []
    for run in runs:
        history = Path(RESULTS, "predictions", run.stem, "history.csv")
        if history.is_file():
            with history.open(encoding="utf-8", newline="") as stream:
                counts.append(sum("epoch" in row for row in csv.DictReader(stream)))
    return fmean(counts) if any(counts) else None


class Speeds:
    """What runs take, by what is done of them.

    Args:
        samples: what finished runs have taken, and running ones take.
        models: descriptors by model.
        sizes: molecules by fold of the tasks that there are.
    """

    def __init__(self, samples: Iterable[Sample], models: Entries, sizes: Mapping[Task, Mapping[str, int]]) -> None:
        self.models, self.sizes = models, sizes
        self.by_dataset: dict[tuple[str, str], list[Sample]] = {}
        self.by_model: dict[str, list[Sample]] = {}
        self.by_family: dict[str, list[Sample]] = {}
        self.all = list(samples)
        for each in self.all:
            self.by_dataset.setdefault((each.run.model, each.run.dataset), []).append(each)
            self.by_model.setdefault(each.run.model, []).append(each)
            self.by_family.setdefault(models[each.run.model]["family"], []).append(each)

    def estimate(self, run: Run) -> Estimate | None:
        """What a run will take; None if nothing like it has been trained."""
        alike = self.by_dataset.get((run.model, run.dataset))
        if alike:
            return Estimate(fmean(each.training for each in alike), self.find_besides(alike), "dataset")
        molecules = self.sizes.get((run.dataset, run.property, run.scheme), {}).get("train")
        family: str = self.models[run.model]["family"]
        wider: tuple[tuple[Basis, list[Sample]], ...] = (
            ("model", self.by_model.get(run.model, [])),
            ("family", self.by_family.get(family, [])),
        )
        for basis, samples in wider:
            rates = [each.training / self.weigh(each.run, each.molecules) for each in samples if each.molecules]
            if rates and molecules:
                return Estimate(fmean(rates) * self.weigh(run, molecules), self.find_besides(samples), basis)
        return None

    def weigh(self, run: Run, molecules: int) -> int:
        """What the time of a training on ``molecules`` goes by: those that it sees, in all epochs."""
        model = self.models[run.model]
        seen: int | None = model["parameters"].get("training", {}).get("molecules_seen")
        return seen or (find_most_epochs(model) or 1) * molecules

    def find_besides(self, samples: Iterable[Sample]) -> float:
        """The mean of what jobs take besides training, of ``samples`` or, where these do not tell, of all."""
        for group in (samples, self.all):
            told = [each.besides for each in group if each.besides is not None]
            if told:
                return fmean(told)
        return 0.0


def sample_running(state: RunState, molecules: int | None) -> Sample | None:
    """What a running training will have taken in all, by its epochs; None before these tell."""
    if state.epochs is None or state.epochs.done <= state.epochs.before:
        return None
    return Sample(state.run, pace(state) * state.epochs.most, None, molecules)


def pace(state: RunState) -> float:
    """Seconds an epoch of a running training that has epochs."""
    assert state.epochs is not None
    return state.seconds / (state.epochs.done - state.epochs.before)


def estimate_left(state: RunState, estimate: Estimate | None, usual_epochs: float | None = None) -> float | None:
    """Seconds that a run will yet take; None if nothing tells.

    Args:
        state: of the run.
        estimate: what it takes in all.
        usual_epochs: those of finished runs of the model on the dataset, which valid may have ended early.
    """
    if state.status == "done":
        return 0.0
    besides = estimate.besides if estimate else 0.0
    if state.trained:
        return besides
    epochs = state.epochs
    if state.status == "running" and epochs and epochs.done > epochs.before:
        end = epochs.most if usual_epochs is None else min(epochs.most, max(usual_epochs, math.ceil(epochs.done)))
        return pace(state) * (end - epochs.done) + besides
    if estimate is None:
        return None
    if state.status == "running":
        return max(0.0, estimate.training + estimate.besides - state.seconds)
    kept = int(epochs.done) / epochs.most if epochs else 0.0
    return estimate.training * (1 - kept) + besides
