"""Molecules as PyG graphs, and their labels as what a graph network learns."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import torch
from torch_geometric.data import Data

from boomlib.contracts import ContractError
from boomlib.models.base import Molecules

BOND_KINDS = 6  # of a pair of atoms: none, single, double, triple, aromatic, other
REFERENCES = ("elements", "mean", "none")


def ragged(table: pa.Table, name: str) -> list[np.ndarray]:
    """The lists of a column, one array a row."""
    lists = table[name].combine_chunks()
    ends = np.cumsum(lists.value_lengths().to_numpy(zero_copy_only=False))
    return np.split(lists.flatten().to_numpy(), ends[:-1])


def find_elements(molecules: Molecules) -> np.ndarray:
    """Atomic numbers that occur, ascending."""
    return np.unique(np.concatenate(ragged(molecules.features["graph"], "atomic_numbers")))


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
        ContractError: the atoms of a conformer are not those of the graph.
    """
    table = molecules.features["graph"]
    columns = [ragged(table, name) for name in ("atomic_numbers", "formal_charges", "bonds", "bond_orders")]
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
        positions, named = ragged(conformers, "positions"), ragged(conformers, "atomic_numbers")
        for row, graph in enumerate(graphs):
            if not np.array_equal(named[row], columns[0][row]):
                raise ContractError(
                    f"molecule {molecules.molecule_id[row]}: the atoms of its conformer are not those of its graph; "
                    "delete the feature files graph.parquet and conformers.parquet and rerun"
                )
            graph.pos = torch.tensor(positions[row].reshape(-1, 3))
    return graphs


class References:
    """What a property is by composition alone, fitted on train; a network learns the rest, in standard deviations.

    ``elements``: a contribution of each element by linear least squares, summed over atoms for an extensive property
    and averaged for an intensive one. For an extensive one these are the E0s of MACE (Batatia et al., arXiv
    2206.07697, fitted as by its option ``average``): the network need not learn that larger molecules have more of
    it, which is most of what there is to extrapolate. ``mean``: the mean of train's labels, for every molecule.
    ``none``: nothing; for a network whose answer is a norm or a moment, which no constant may shift.

    Args:
        kind: ``extensive`` or ``intensive``.
        reference: ``elements``, ``mean`` or ``none``.
    """

    def __init__(self, kind: str, reference: str) -> None:
        if reference not in REFERENCES:
            raise ValueError(f"reference is '{reference}'; known: {', '.join(REFERENCES)}")
        self.kind, self.reference = kind, reference

    def design(self, graphs: Sequence[Data]) -> np.ndarray:
        """Columns of the linear fit, float64 [graphs, elements, 1 or 0]."""
        if self.reference == "none":
            return np.empty((len(graphs), 0))
        if self.reference == "mean":
            return np.ones((len(graphs), 1))
        atoms = [graph.x[:, :-1].double().numpy() for graph in graphs]
        return np.array([each.sum(axis=0) if self.kind == "extensive" else each.mean(axis=0) for each in atoms])

    def fit(self, graphs: Sequence[Data], y: np.ndarray) -> "References":
        """Fit to train's labels, native units [graphs]."""
        design = self.design(graphs)
        self.contributions = np.linalg.lstsq(design, y)[0]
        self.spread = float(np.std(y - design @ self.contributions)) or 1.0
        return self

    def transform(self, graphs: Sequence[Data], y: np.ndarray) -> np.ndarray:
        """Standardised residuals of labels, float64 [graphs]."""
        return (y - self.design(graphs) @ self.contributions) / self.spread

    def inverse(self, graphs: Sequence[Data], z: np.ndarray) -> np.ndarray:
        """Labels of standardised residuals, native units, float64 [graphs]."""
        return self.design(graphs) @ self.contributions + self.spread * z
