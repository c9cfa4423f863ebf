"""The networks of config/models, for short trainings from scratch on folders that sampling.py has filled."""

import argparse
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from boomlib import registry
from boomlib.contracts import PREDICTED_FOLDS
from boomlib.harness.interface import Model, Molecules, find_model_class
from boomlib.harness.job import read_task

WITHOUT = ("committee", "control", "tabular")  # families without networks of ours
LEAST_EPOCHS = 3  # Chemprop's learning rate rises for two, and then falls


class Parts(NamedTuple):
    """Molecules of a task: with labels for training and validation, and all that a model predicts."""

    train: Molecules
    valid: Molecules
    asked: Molecules


@functools.cache
def load_networks() -> registry.Entries:
    """The descriptors of all networks by model name."""
    models = registry.load_models()
    return {name: descriptor for name, descriptor in models.items() if descriptor["family"] not in WITHOUT}


def list_features() -> list[str]:
    """The feature tables that some network reads."""
    return sorted({feature for descriptor in load_networks().values() for feature in descriptor["features"]})


def add_choice(parser: argparse.ArgumentParser) -> None:
    """Let the command line choose models."""
    parser.add_argument("--size", choices=["small", "full"], nargs="+", help="which descriptors")
    parser.add_argument("--models", nargs="+", metavar="MODEL", choices=list(load_networks()), help="these alone")


def choose(arguments: argparse.Namespace, default: Sequence[str]) -> list[str]:
    """The names of the models that the command line chooses, else those of the ``default`` sizes; small ones first."""
    if arguments.models:
        return arguments.models
    sizes = {name: descriptor.get("size", "full") for name, descriptor in load_networks().items()}
    chosen = [name for name, size in sizes.items() if size in (arguments.size or default)]
    return sorted(chosen, key=lambda name: sizes[name] == "full")


def batch_size(name: str) -> int:
    """Molecules a step."""
    training = load_networks()[name]["parameters"]["training"]
    return training["batch_size"] if "batch_size" in training else training["batch"]


def make_model(name: str, epochs: int | None = None, seed: int = 0) -> Model:
    """A model of an extensive property on one thread, from scratch.

    Args:
        name: of its descriptor.
        epochs: how many, at least :data:`LEAST_EPOCHS`; None: those of the descriptor.
        seed: of the run.
    """
    descriptor = load_networks()[name]
    parameters, training = descriptor["parameters"], descriptor["parameters"]["training"]
    if epochs is not None:
        training = training | {"max_num_epochs" if "max_num_epochs" in training else "epochs": epochs}
    if "pretrained" in parameters:
        parameters = parameters | {"pretrained": None}
    make = find_model_class(descriptor["class"])
    return make(kind="extensive", seed=seed, **(parameters | {"training": training}))


def read_parts(name: str, data: Path) -> Parts:
    """What a model reads of the folder ``data``."""
    features = {feature: data / f"{feature}.parquet" for feature in load_networks()[name]["features"]}
    molecules, fold = read_task(data / "task.parquet", features)
    rows = fold == "train", fold == "valid", np.isin(fold, PREDICTED_FOLDS)
    return Parts(*map(molecules.take, rows))


def largest_difference(values: np.ndarray, expected: np.ndarray) -> float:
    """The largest relative difference of two arrays."""
    return float(np.max(np.abs(values - expected) / np.abs(expected)))
