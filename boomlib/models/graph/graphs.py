"""Molecules as PyG graphs."""

import numpy as np
import torch
from torch_geometric.data import Data

from boomlib.files import MoleculeError
from boomlib.harness.columns import split_lists
from boomlib.harness.interface import Molecules

BOND_KINDS = 6  # of a pair of atoms: none, single, double, triple, aromatic, other


def find_elements(molecules: Molecules) -> np.ndarray:
    """Atomic numbers that occur, ascending."""
    return np.unique(np.concatenate(split_lists(molecules.features["graph"], "atomic_numbers")))


def make_graphs(molecules: Molecules, elements: np.ndarray, geometry: bool) -> list[Data]:
    """One graph a molecule.

    Args:
        molecules: with the feature ``graph``, and with ``conformers`` if ``geometry``.
        elements: atomic numbers that get a column of ``x``; an atom of any other element has zeros there.
        geometry: edges between all pairs of atoms, and positions; otherwise edges are bonds.

    Returns:
        Graphs with ``x`` (float32 [atoms, elements + 1]: element, one-hot, and formal charge, e), ``z`` (int64
        [atoms]: atomic numbers), ``edge_index`` (int64 [2, edges]: source, target; every edge in both directions),
        ``edge_attr`` (int64 [edges]: 0 not bonded, 1 to 5 the bond's order, see :mod:`boomlib.features.graph`) and, if
        ``geometry``, ``pos`` (float32 [atoms, 3], Å).

    Raises:
        MoleculeError: the atoms of a conformer are not those of the graph.
    """
    table = molecules.features["graph"]
    columns = [split_lists(table, name) for name in ("atomic_numbers", "formal_charges", "bonds", "bond_orders")]
    graphs = []
    for numbers, charges, bonds, orders in zip(*columns, strict=True):
        order = np.zeros((len(numbers), len(numbers)), dtype=np.int64)
        begin, end = bonds.reshape(-1, 2).T
        order[begin, end] = order[end, begin] = orders
        # ordered by target
        target, source = np.nonzero(~np.eye(len(numbers), dtype=bool) if geometry else order)
        x = np.column_stack([numbers[:, None] == elements, charges]).astype(np.float32)
        edge_index = torch.from_numpy(np.stack([source, target]))
        edge_attr = torch.from_numpy(order[target, source])
        z = torch.from_numpy(numbers.astype(np.int64))
        graphs.append(Data(x=torch.from_numpy(x), z=z, edge_index=edge_index, edge_attr=edge_attr))
    if geometry:
        conformers = molecules.features["conformers"]
        positions, named = split_lists(conformers, "positions"), split_lists(conformers, "atomic_numbers")
        for row, graph in enumerate(graphs):
            if not np.array_equal(named[row], columns[0][row]):
                raise MoleculeError(
                    "the atoms of its conformer are not those of its graph; delete the feature files graph.parquet "
                    "and conformers.parquet and rerun",
                    [molecules.smiles[row]],
                )
            graph.pos = torch.tensor(positions[row].reshape(-1, 3))
    return graphs
