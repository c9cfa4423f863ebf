"""The runs that a configuration asks for: every task × scheme × model × seed."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Run:
    """One model trained on one task of one scheme with one seed."""

    dataset: str
    property: str
    scheme: str
    model: str
    seed: int

    @property
    def task(self) -> str:
        """``{dataset}/{property}``."""
        return f"{self.dataset}/{self.property}"

    @property
    def stem(self) -> str:
        """The run's part of every path that belongs to it."""
        return f"{self.task}/{self.scheme}/{self.model}/seed{self.seed}"


def list_runs(config: Mapping) -> list[Run]:
    """All runs of a checked configuration, in its order."""
    return [
        Run(*task.split("/"), scheme, model, seed)
        for task in config["tasks"]
        for scheme in config["schemes"]
        for model in config["models"]
        for seed in config["seeds"]
    ]


def mark_orphans(results: str | os.PathLike, runs: Iterable[Run]) -> None:
    """Date scores whose predictions have been deleted back to 1970, so that the workflow makes both again.

    Snakemake lets a missing intermediate file be while what was made from it exists, but a score without its
    evidence is no result.
    """
    for run in runs:
        predictions = Path(results, "predictions")
        for score, evidence in (
            (Path(results, "metrics", f"{run.stem}.json"), predictions / f"{run.stem}.parquet"),
            (Path(results, "policy", f"{run.stem}.json"), predictions / run.stem / "policy.parquet"),
        ):
            if score.exists() and not evidence.exists():
                os.utime(score, (0, 0))
