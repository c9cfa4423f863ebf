"""What others published on the benchmark's tasks, read from ``published.yaml``; it is shown and never ranked."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

SCHEME = "kde"
"""The scheme that BOOM's split is."""
SPLITS = {"BOOM's": "these molecules", "another": "other molecules"}
"""On what others tested, by ``split``: the molecules of :data:`SCHEME`, or others of the same dataset."""


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
    """All entries of ``published.yaml``."""
    text = Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8")
    return tuple(Published(**entry) for entry in yaml.safe_load(text))
