"""The runs that a configuration asks for: every task × scheme × model × seed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Run:
    """One model trained on one task of one scheme with one seed."""

    dataset: str
    property: str
    scheme: str
    model: str
    seed: int

    @property  # type: ignore[operator]  # mypy takes it for the field
    def task(self) -> str:
        """``{dataset}/{property}``."""
        return f"{self.dataset}/{self.property}"

    @property  # type: ignore[operator]  # mypy takes it for the field
    def stem(self) -> str:
        """The run's part of every path that belongs to it."""
        return f"{self.task}/{self.scheme}/{self.model}/seed{self.seed}"


def list_runs(config: Mapping[str, Any]) -> list[Run]:
    """All runs of a checked configuration, in its order."""
    return [
        Run(*task.split("/"), scheme, model, seed)  # type: ignore[call-arg]  # mypy: a star takes the rest too
        for task in config["tasks"]
        for scheme in config["schemes"]
        for model in config["models"]
        for seed in config["seeds"]
    ]
