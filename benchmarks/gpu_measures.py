"""What gpu.py asks of a network, in a process that sees a GPU or in one that does not."""

import csv
import gc
import os
import time
from pathlib import Path

import numpy as np
import torch
from networks import LEAST_EPOCHS, Parts, batch_size, make_model, read_parts
from training_clock import stopped_after, watching

from boomlib.harness.interface import Model, Molecules
from boomlib.provenance import device_name, versions


def describe() -> dict:
    """Whether this process sees a GPU, where it computes, and the versions of its packages."""
    there = torch.cuda.is_available()
    return {"gpu": there, "device": device_name("cuda" if there else "cpu"), "versions": versions()}


def first(molecules: Molecules, number: int) -> Molecules:
    """The first molecules."""
    return molecules.take(np.arange(min(number, len(molecules))))


def read_first(name: str, data: Path, molecules: int) -> Parts:
    """The first molecules of each part of what a model reads."""
    return Parts(*(first(part, molecules) for part in read_parts(name, data)))


def read_errors(folder: Path) -> np.ndarray:
    """RMSE on valid after each epoch of a training."""
    with (folder / "history.csv").open(encoding="utf-8", newline="") as stream:
        return np.array([float(row["valid_rmse"]) for row in csv.DictReader(stream)])


def train(name: str, parts: Parts, folder: Path) -> Model:
    """Train for a few epochs, or go on with a training that was stopped."""
    folder.mkdir(exist_ok=True)
    model = make_model(name, LEAST_EPOCHS)
    model.fit(parts.train, parts.valid, folder)
    return model


def check(name: str, data: Path, folder: Path, molecules: int) -> dict:
    """Train in one go, and once more with an interruption, on a few molecules; the model is saved in ``folder``.

    Returns:
        Its predictions of molecules without labels, the RMSE on valid after each epoch of both trainings, the device,
        and the versions of the packages that this process has imported.
    """
    parts = read_first(name, data, molecules)
    model = train(name, parts, folder / "whole")
    model.save(folder)
    with stopped_after(epochs=1):
        train(name, parts, folder / "stopped")
    train(name, parts, folder / "stopped")
    return {
        "predictions": model.predict(parts.asked).mean,
        "whole": read_errors(folder / "whole"),
        "resumed": read_errors(folder / "stopped"),
        "device": device_name(model.trained_on),
        "versions": versions(),
    }


def predict(name: str, data: Path, folder: Path, molecules: int) -> np.ndarray:
    """Predictions of the same molecules by the model that :func:`check` has saved, where this process computes."""
    torch.set_num_threads(os.cpu_count())
    model = make_model(name, LEAST_EPOCHS)
    model.load(folder)
    return model.predict(read_first(name, data, molecules).asked).mean


def measure(name: str, data: Path, folder: Path, steps: int) -> dict:
    """Molecules a second of training and prediction; of training, how busy the GPU is, and what it needs.

    The first epoch warms up, the second is timed, the third profiled. Prediction is timed the second time.
    """
    on_gpu = torch.cuda.is_available()
    if on_gpu:
        gc.collect()  # what models before have left
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    parts = read_first(name, data, steps * batch_size(name))
    with watching(profiled=2 if on_gpu else None) as epochs:
        model = train(name, parts, folder / data.name)
    model.predict(parts.train)
    start = time.perf_counter()
    model.predict(parts.train)
    return {
        "molecules": len(parts.train),
        "training": len(parts.train) / epochs[1].seconds,
        "prediction": len(parts.train) / (time.perf_counter() - start),
        "gpu_share": epochs[2].profile.gpu_share() if on_gpu else None,
        "waits": epochs[2].profile.waits() if on_gpu else None,
        "gpu_memory": torch.cuda.max_memory_allocated() / 1024**2 if on_gpu else None,
    }
