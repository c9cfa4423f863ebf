"""10K CSD: 10,206 organic crystals with theoretical density (g/cm³) and solid heat of formation (kcal/mol).

Source: FLASK-LLNL/LLNL-10k-Dataset, one CSV a property, the same molecules in the same order in both.
"""

import os
from collections.abc import Sequence

import pyarrow.compute as pc

from boomlib.datasets.rows import ColumnError, Rows, read_columns, text_rows
from boomlib.files import DATASET_ENTRY, ContractError


def read(sources: Sequence[str | os.PathLike], dataset: dict) -> Rows:
    """Zip the CSVs of the properties row by row; they must list the same SMILES in the same order."""
    properties = dataset["properties"]
    if len(sources) != len(properties):
        raise ContractError(
            f"{DATASET_ENTRY}: reader 'csd10k' takes one source a property, in their order, but the dataset has "
            f"{len(sources)} ({', '.join(map(str, sources)) or 'none'}) for {len(properties)} properties "
            f"({', '.join(properties)}); correct its `sources` or `properties`"
        )
    rows = None
    for path, (name, entry) in zip(sources, properties.items(), strict=True):
        column = entry.get("column", name)
        try:
            table = read_columns(path, ["smiles", column])
        except ColumnError as error:
            raise ContractError(f"{error}; this is not the published file") from error
        if rows is None:
            first, rows = table, text_rows(table, "smiles", {name: column})
            continue
        if table.num_rows != first.num_rows:
            raise ContractError(f"{path}: {table.num_rows} rows, but {sources[0]} has {first.num_rows}")
        differing = pc.index(pc.not_equal(table["smiles"].fill_null(""), first["smiles"].fill_null("")), True).as_py()
        if differing >= 0:
            raise ContractError(f"{path}: row {differing + 1} has another SMILES than {sources[0]}")
        rows.values[name] = table[column].to_pylist()
    return rows
