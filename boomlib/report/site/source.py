"""What a site is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from boomlib.evaluation.records import list_recorded
from boomlib.report.needs import list_needs
from boomlib.report.roles import Roles, assign_roles
from boomlib.runs import Run


@dataclass(frozen=True)
class Source:
    """The tables of a run, and what is registered.

    Attributes:
        results: the folder of molecules, splits, predictions, policies and hardest molecules; its logs lie beside it.
        metrics: the tidy table, see :func:`boomlib.evaluation.summary.tabulate_metrics`.
        records: the table of runs, see :func:`boomlib.evaluation.records.tabulate_runs`.
        config: the checked configuration.
        datasets: registry entries by dataset.
        models: descriptors by model, also of those that have trained for others alone.
        others: files that could not be made, beside those of runs, with the reason and the log.
    """

    results: Path
    metrics: pd.DataFrame
    records: pd.DataFrame
    config: Mapping[str, Any]
    datasets: Mapping[str, Mapping[str, Any]]
    models: Mapping[str, Mapping[str, Any]]
    others: Sequence[tuple[str, str, str]] = ()

    @cached_property
    def used(self) -> dict[str, Mapping[str, Any]]:
        """The descriptors of the models that are shown."""
        return {name: self.models[name] for name in self.config["models"]}

    @cached_property
    def shown_datasets(self) -> dict[str, Mapping[str, Any]]:
        """The entries of the datasets that are shown."""
        return {name: self.datasets[name] for name in dict.fromkeys(self.records["dataset"])}

    @cached_property
    def needs(self) -> dict[str, dict[str, str]]:
        """What models need, see :func:`boomlib.report.needs.list_needs`."""
        return list_needs(self.used, self.models, self.shown_datasets)

    @cached_property
    def roles(self) -> Roles:
        """Labels and controls of the models."""
        return assign_roles(self.used)

    @cached_property
    def schemes(self) -> list[str]:
        """The schemes of the runs, in their order."""
        return list(dict.fromkeys(self.records["scheme"]))

    @cached_property
    def tasks(self) -> list[tuple[str, str]]:
        """Dataset and property of the runs, in their order."""
        return list(dict.fromkeys(zip(self.records["dataset"], self.records["property"], strict=True)))

    @cached_property
    def finished(self) -> list[Run]:
        """The runs that are done."""
        return list_recorded(self.records[self.records["status"] == "done"])

    def group_runs(self, dataset: str, name: str, scheme: str) -> dict[str, list[Run]]:
        """The finished runs of a task by model."""
        runs: dict[str, list[Run]] = {}
        for run in self.finished:
            if (run.dataset, run.property, run.scheme) == (dataset, name, scheme):
                runs.setdefault(run.model, []).append(run)
        return runs

    @cached_property
    def policy_runs(self) -> list[Run]:
        """The runs that are done and whose policy has been scored."""
        return [
            run
            for run in self.finished
            if run.model in self.roles.evaluators
            and self.results.joinpath(f"policy/{run.stem}.json").is_file()
            and self.has_answers(run)
            and self.tells_policy(run)
        ]

    def tells_policy(self, run: Run) -> bool:
        """Whether the answers of a run about its policy are there: of one that is restored its scores alone are."""
        path = self.results / f"predictions/{run.stem}/policy.parquet"
        return path.is_file() and pq.read_metadata(path).num_rows > 0

    def has_answers(self, run: Run) -> bool:
        """Whether molecules and folds of a run's task are there, which a failed command or a publication may lack."""
        files = (f"data/{run.dataset}/molecules.parquet", f"splits/{run.task}/{run.scheme}.parquet")
        return all(self.results.joinpath(file).is_file() for file in files)

    def describe_property(self, dataset: str, name: str) -> Mapping[str, Any]:
        """The registry entry of a property."""
        entry: Mapping[str, Any] = self.datasets[dataset]["properties"][name]
        return entry
