"""Any CSV or Parquet file of the user's with a SMILES column and property columns."""

import os
from collections.abc import Sequence

from boomlib.datasets.rows import ColumnError, Rows, only_source, read_columns, text_rows
from boomlib.files import DATASET_ENTRY, ContractError
from boomlib.smiles import canonical_smiles


def read(sources: Sequence[str | os.PathLike], dataset: dict) -> Rows:
    """Read the columns that the registry names (a property without ``column`` is its own column).

    Two spellings of one molecule are the same molecule, so that they cannot stand in train and in test.
    """
    columns = {name: entry.get("column", name) for name, entry in dataset["properties"].items()}
    smiles_column = dataset["smiles_column"]
    try:
        table = read_columns(only_source(sources, "table"), [smiles_column, *columns.values()])
    except ColumnError as error:
        raise ContractError(f"{error}; set `smiles_column` and each property's `column` in {DATASET_ENTRY}") from error
    return text_rows(table, smiles_column, columns, same_molecule=canonical_smiles)
