"""Columns of feature tables as arrays."""

import numpy as np
import pyarrow as pa


def stack_columns(table: pa.Table) -> np.ndarray:
    """All columns of a dense feature table, float64 [n, columns]."""
    return np.column_stack([column.to_numpy() for column in table.columns]).astype(np.float64)


def split_lists(table: pa.Table, name: str) -> list[np.ndarray]:
    """The lists of a column, one array a row."""
    lists = table[name].combine_chunks()
    ends = np.cumsum(lists.value_lengths().to_numpy(zero_copy_only=False))
    return np.split(lists.flatten().to_numpy(), ends)[:-1]  # what follows the last end is empty
