"""Any CSV or Parquet file of the user's with a SMILES column and property columns."""

import os
from collections.abc import Sequence

import numpy as np

from boomlib.datasets.columns import read_columns
from boomlib.datasets.delimited import ColumnError
from boomlib.datasets.labels import find_decimal
from boomlib.datasets.rows import Rows, only_source
from boomlib.files import DATASET_ENTRY, ContractError
from boomlib.smiles import identify, without_maps

SEPARATORS = {"tab": "\t", "\\t": "\t"}  # how people write it in YAML


def read(sources: Sequence[str | os.PathLike], dataset: dict) -> Rows:
    """Read the columns that the registry names (a property without ``column`` is its own column).

    Two spellings of one molecule are the same molecule, so that they cannot stand in train and in test. Map numbers of
    atoms are no part of it.
    """
    path = only_source(sources, "table")
    properties = {name: entry.get("column", name) for name, entry in dataset["properties"].items()}
    separator = dataset.get("separator")
    try:
        found = read_columns(
            path, [dataset["smiles_column"], *properties.values()], SEPARATORS.get(separator, separator)
        )
    except ColumnError as error:
        raise ContractError(f"{error}; set `smiles_column` and each property's `column` in {DATASET_ENTRY}") from error
    labels = {name: found.values[column] for name, column in properties.items()}
    return Rows(
        np.array(found.numbers, dtype=np.int64),
        [None if text is None else str(text).strip() for text in found.values[dataset["smiles_column"]]],
        labels,
        same_molecule=identify,
        written=without_maps,
        counts=found.counts,
        file=str(path),
        decimal=dataset.get("decimal") or find_decimal(path, labels, found.counts, found.numbers),
    )
