"""QM9 without geometry: all 133,885 molecules in the archive's order, with the eight properties that BOOM takes.

The source is a Parquet table, ``smiles`` and a column a property. It has no enthalpy, so no heat of formation either.
"""

import os
from collections.abc import Sequence

import numpy as np

from boomlib.datasets.columns import read_columns
from boomlib.datasets.delimited import ColumnError
from boomlib.datasets.rows import Rows, only_source
from boomlib.files import DATASET_ENTRY, ContractError


def read(sources: Sequence[str | os.PathLike], dataset: dict) -> Rows:
    """Read the columns that the registry names; as in the archive, a molecule is the text of its SMILES.

    Raises:
        ContractError: a column is not there, or the file is not readable.
    """
    path = only_source(sources, "qm9_smiles")
    columns = {name: entry.get("column", name) for name, entry in dataset["properties"].items()}
    try:
        found = read_columns(path, ["smiles", *columns.values()])
    except ColumnError as error:
        raise ContractError(
            f"{error}; correct the keys, or each `column`, of `properties` in {DATASET_ENTRY}"
        ) from error
    values = {name: found.values[column] for name, column in columns.items()}
    return Rows(np.array(found.numbers, dtype=np.int64), found.values["smiles"], values)
