"""The one way from source files to ``molecules.parquet``, whatever the kind of dataset."""

import importlib
import os
from collections.abc import Sequence

from boomlib.datasets.rows import draw_sample, write_dataset


def prepare(
    dataset: dict,
    sources: Sequence[str | os.PathLike],
    molecules: str | os.PathLike,
    rejects: str | os.PathLike,
    geometry: str | os.PathLike,
) -> None:
    """Read the sources of a registered dataset, sample them if it says so, check every row, and write.

    Args:
        dataset: its entry in ``config/datasets.yaml``.
        sources: the source files, in the order in which the entry lists them.
        molecules: the molecules table to write.
        rejects: the CSV of rejected rows to write.
        geometry: the table of the source's own positions to write, empty if it has none.
    """
    reader = importlib.import_module(f"boomlib.datasets.{dataset['kind']}")
    rows = reader.read(sources, dataset)
    if "sample" in dataset:
        rows = draw_sample(rows, dataset["sample"]["size"], dataset["sample"]["seed"])
    units = {name: entry["unit"] for name, entry in dataset["properties"].items()}
    write_dataset(rows, units, molecules, rejects, geometry)
