"""How long the epochs of trainings in this process take, how much of it the making of batches, and in what else.

An epoch counts from the asking for its batches to the end of its last step: neither validation nor the following of
molecules without labels.
"""

import math
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from boomlib.harness.batches import Batches
from boomlib.harness.training import Epochs, History

END = object()


def now() -> float:
    """Seconds, once a GPU has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def peak_memory() -> float:
    """The most memory that this process has had, MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024**2 if sys.platform == "darwin" else 1024)


class Profile:
    """A profile of the first steps of an epoch, of the GPU if there is one.

    Args:
        steps: how many at most.
    """

    def __init__(self, steps: int) -> None:
        self.steps, self.done, self.seconds = steps, 0, math.nan
        activity = ProfilerActivity.CUDA if torch.cuda.is_available() else ProfilerActivity.CPU
        self.recorder = profile(activities=[activity])
        self.recorder.start()
        self.begin = now()

    def stop(self, steps: int) -> None:
        """So many steps are done."""
        self.done, self.seconds = steps, now() - self.begin
        self.recorder.stop()

    def gpu_share(self) -> float:
        """Share of the time that the GPU worked."""
        busy = sum(
            each.self_device_time_total
            for each in self.recorder.key_averages()
            if each.device_type == DeviceType.CUDA and not each.is_user_annotation
        )
        return busy / 1e6 / self.seconds

    def waits(self) -> float:
        """How often a step waited until the GPU had done all that it was given; below 1 it is the profile that did."""
        counts = {each.key: each.count for each in self.recorder.key_averages()}
        return counts.get("cudaStreamSynchronize", 0) / self.done

    def largest(self, number: int) -> list[tuple[str, float]]:
        """Operations of the CPU that take longest, with their shares of the time; last all that is no operation."""
        shares = {each.key: each.self_cpu_time_total / 1e6 / self.seconds for each in self.recorder.key_averages()}
        top = sorted(shares.items(), key=lambda each: -each[1])[:number]
        return [*top, ("outside of operations", 1 - sum(shares.values()))]


@dataclass
class Epoch:
    """One epoch's training.

    Attributes:
        seconds: all of it; NaN as long as it goes on.
        processor: seconds of the processor in it, of all threads together; likewise.
        making: seconds of it in which batches were made.
        profile: of it, if it was asked for.
    """

    seconds: float = math.nan
    processor: float = math.nan
    making: float = 0.0
    profile: Profile | None = None
    begin: float = field(default_factory=now)
    processor_begin: float = field(default_factory=time.process_time)

    @contextmanager
    def making_batches(self) -> Iterator[None]:
        """What the block takes, if the epoch still goes on, is the making of batches."""
        start = time.perf_counter()
        yield
        if math.isnan(self.seconds):
            self.making += time.perf_counter() - start

    def end_step(self, number: int, steps: int) -> None:
        """The step of that number, from 1, of so many is done."""
        if self.profile and number == min(self.profile.steps, steps):
            self.profile.stop(number)
        if number == steps:
            self.seconds = now() - self.begin
            self.processor = time.process_time() - self.processor_begin


@contextmanager
def stopped_after(epochs: int = 0, steps: int | None = None) -> Iterator[None]:
    """Trainings end as if killed: once so many steps of the epoch after so many are done, or at the end of that epoch.

    The latter is before its state is written.
    """
    hook = "on_train_epoch_end" if steps is None else "on_train_batch_end"
    finish = getattr(History, hook)

    def stop(self: History, trainer, module, *batch) -> None:
        # the last of what follows is the batch's number
        if trainer.current_epoch == epochs and (steps is None or batch[-1] + 1 == steps):
            raise InterruptedError
        finish(self, trainer, module, *batch)

    setattr(History, hook, stop)
    try:
        with suppress(InterruptedError):
            yield
    finally:
        setattr(History, hook, finish)


@contextmanager
def watching(profiled: int | None = None, steps: int = 20) -> Iterator[list[Epoch]]:
    """Watch the trainings of the block; yields the list that their epochs are put into.

    Args:
        profiled: number, from 0, of an epoch that is also profiled, which takes time.
        steps: how many steps of it.
    """
    epochs: list[Epoch] = []
    ask, finish, iterate = Epochs.train_dataloader, History.on_train_batch_end, Batches.__iter__

    def ask_watched(self: Epochs) -> object:
        epochs.append(Epoch(profile=Profile(steps) if len(epochs) == profiled else None))
        with epochs[-1].making_batches():
            return ask(self)

    def finish_watched(self: History, trainer, module, outputs, batch, batch_idx) -> None:
        finish(self, trainer, module, outputs, batch, batch_idx)
        epochs[-1].end_step(batch_idx + 1, trainer.num_training_batches)

    def iterate_watched(self: Batches) -> Iterator:
        batches = iterate(self)
        while True:
            with epochs[-1].making_batches():
                batch = next(batches, END)
            if batch is END:
                return
            yield batch

    Epochs.train_dataloader, History.on_train_batch_end = ask_watched, finish_watched
    Batches.__iter__ = iterate_watched
    try:
        yield epochs
    finally:
        Epochs.train_dataloader, History.on_train_batch_end, Batches.__iter__ = ask, finish, iterate
