"""The one way from source files to ``molecules.parquet``, whatever the reader."""

import importlib
import os
from collections.abc import Sequence
from dataclasses import replace

from boomlib.contracts import MOLECULES
from boomlib.datasets.rows import draw_sample, write_dataset
from boomlib.files import DATASET_ENTRY, ContractError


def prepare(
    dataset: dict,
    sources: Sequence[str | os.PathLike],
    molecules: str | os.PathLike,
    rejects: str | os.PathLike,
    geometry: str | os.PathLike,
    doubles: str | os.PathLike,
) -> None:
    """Read the sources of a registered dataset, sample them if it says so, check every row, and write.

    Args:
        dataset: its entry in ``config/datasets.yaml`` or in a configuration.
        sources: the source files, in the order in which the entry lists them.
        molecules: the molecules table to write.
        rejects: the CSV of rejected rows to write.
        geometry: the table of the source's own positions to write, empty if it has none.
        doubles: the CSV of molecules to write that are another one, spelled otherwise.

    Raises:
        ContractError: the entry asks for what the source does not have, or no row of it is usable.
    """
    for name in dataset["properties"]:
        if name in MOLECULES.columns:
            raise ContractError(
                f"{DATASET_ENTRY}: properties.{name}: the molecules table has a column of this name already; "
                "choose another, and name the source's as its `column`"
            )
    reader = importlib.import_module(f"boomlib.datasets.{dataset['reader']}")
    rows = reader.read(sources, dataset)
    if "sample" in dataset:
        rows = draw_sample(rows, dataset["sample"]["size"], dataset["sample"]["seed"])
    observables = {name: entry.get("observable") for name, entry in dataset["properties"].items()}
    rows = replace(rows, densities=frozenset(name for name, each in observables.items() if each == "mass_density"))
    units = {name: entry["unit"] for name, entry in dataset["properties"].items()}
    write_dataset(rows, units, molecules, rejects, geometry, doubles, dataset.get("max_heavy_atoms"))
