"""The runs that a configuration asks for: every task × scheme × model × seed."""

import builtins
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ADOPTED = "adopted"
"""A file in the folder of a run's predictions: they were taken from a publication, and not trained here."""


@dataclass(frozen=True)
class Run:
    """One model trained on one task of one scheme with one seed."""

    dataset: str
    property: str
    scheme: str
    model: str
    seed: int

    @builtins.property  # `property` is a field here
    def task(self) -> str:
        """``{dataset}/{property}``."""
        return f"{self.dataset}/{self.property}"

    @builtins.property  # `property` is a field here
    def stem(self) -> str:
        """The run's part of every path that belongs to it."""
        return f"{self.task}/{self.scheme}/{self.model}/seed{self.seed}"


def list_runs(config: Mapping[str, Any]) -> list[Run]:
    """All runs of a checked configuration, in its order."""
    return [
        Run(dataset, name, scheme, model, seed)
        for dataset, name in (task.split("/") for task in config["tasks"])
        for scheme in config["schemes"]
        for model in config["models"]
        for seed in config["seeds"]
    ]
