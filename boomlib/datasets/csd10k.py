"""10K CSD: 10,206 organic crystals with theoretical density (g/cm³) and solid heat of formation (kcal/mol).

Source: FLASK-LLNL/LLNL-10k-Dataset, one CSV a property, the same molecules in the same order in both.
"""

import os
from collections.abc import Sequence

import numpy as np

from boomlib.datasets.columns import read_columns
from boomlib.datasets.delimited import ColumnError
from boomlib.datasets.rows import Rows
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
    smiles: list[str | None] = []
    values: dict[str, Sequence[object]] = {}
    for path, (name, entry) in zip(sources, properties.items(), strict=True):
        column = entry.get("column", name)
        try:
            found = read_columns(path, ["smiles", column], ",").values
        except ColumnError as error:
            raise ContractError(f"{error}; this is not the published file") from error
        values[name] = found[column]
        smiles = smiles or found["smiles"]
        if len(smiles) != len(found["smiles"]):
            raise ContractError(f"{path}: {len(found['smiles'])} rows, but {sources[0]} has {len(smiles)}")
        for row, (one, other) in enumerate(zip(smiles, found["smiles"], strict=True), 1):
            if one != other:
                raise ContractError(f"{path}: row {row} has another SMILES than {sources[0]}")
    return Rows(np.arange(1, len(smiles) + 1), [text and text.strip() for text in smiles], values)
