"""What others published on the benchmark's tasks, read from ``published.yaml``; it is shown and never ranked."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

SCHEME = "kde"
"""The scheme that BOOM's split is."""
SPLITS = {"BOOM's": "these molecules", "another": "other molecules"}
"""On what others tested, by ``split``: the molecules of :data:`SCHEME`, or others of the same dataset."""
NEARLY = {"qm9_characterised": "qm9"}
"""Datasets of nearly the molecules of another one: what was published on that was tested on others than theirs."""
SAME = {"qm9_smiles": "qm9"}
"""Datasets of the very molecules and folds of another one: what was published on that holds for them as well."""


@dataclass(frozen=True)
class Published:
    """One model of others: ``source`` is an address, ``rmse`` the errors by task (dataset/property) and fold."""

    model: str
    source: str
    split: str
    caveat: str
    rmse: Mapping[str, Mapping[str, float]]


@functools.cache
def read_published() -> tuple[Published, ...]:
    """All entries of ``published.yaml``, and the same on datasets of the same molecules, or nearly the same."""
    text = Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8")
    entries = [Published(**entry) for entry in yaml.safe_load(text)]
    moved = [move(each, *pair) for pair in (NEARLY | SAME).items() for each in entries if any_on(each, pair[1])]
    return (*entries, *moved)


def any_on(entry: Published, dataset: str) -> bool:
    """Whether an entry has a task of a dataset."""
    return any(task.startswith(f"{dataset}/") for task in entry.rmse)


def move(entry: Published, dataset: str, origin: str) -> Published:
    """The tasks of an entry on dataset ``origin`` as tasks of ``dataset``, see :data:`NEARLY` and :data:`SAME`."""
    rmse = {
        f"{dataset}/{task.removeprefix(f'{origin}/')}": errors
        for task, errors in entry.rmse.items()
        if task.startswith(f"{origin}/")
    }
    return replace(entry, split=entry.split if dataset in SAME else "another", rmse=rmse)
