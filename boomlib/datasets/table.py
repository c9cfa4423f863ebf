"""Any CSV or Parquet file of the user's with a SMILES column and property columns."""

import os
from collections.abc import Sequence

from boomlib.datasets.rows import Rows, read_columns, text_rows


def canonical(smiles: str) -> str:
    """RDKit's canonical SMILES, so that two spellings of one molecule cannot stand in train and in test."""
    from rdkit import Chem

    return Chem.CanonSmiles(smiles)


def read(sources: Sequence[str | os.PathLike], dataset: dict) -> Rows:
    """Read the columns that the registry names (a property without ``column`` is its own column)."""
    columns = {name: entry.get("column", name) for name, entry in dataset["properties"].items()}
    smiles_column = dataset["smiles_column"]
    hint = "set `smiles_column` and each property's `column` in config/datasets.yaml"
    table = read_columns(sources[0], [smiles_column, *columns.values()], hint)
    return text_rows(table, smiles_column, columns, same_molecule=canonical)
