"""The Equivariant Transformer of TorchMD-Net on a conformer: atoms with vectors, attention to what is near.

Thölke & De Fabritiis, ICLR 2022, arXiv 2202.02541. Representation and read-outs are those of torchmd-net.
"""

import torch
from rdkit import Chem
from torch import Tensor, nn
from torch_geometric.data import Batch
from torch_geometric.utils import scatter
from torchmdnet.models.output_modules import (
    EquivariantDipoleMoment,
    EquivariantElectronicSpatialExtent,
    EquivariantScalar,
)
from torchmdnet.models.torchmd_et import TorchMD_ET

from boomlib.harness.columns import split_lists
from boomlib.harness.composition import Reference
from boomlib.harness.interface import Molecules
from boomlib.models.graph.graph_model import GraphModel

ELEMENTS = 100  # rows of torchmd-net's embedding, by atomic number from 0: fermium and what is heavier has none
OBSERVABLES = {
    "dipole_moment": EquivariantDipoleMoment,
    "electronic_spatial_extent": EquivariantElectronicSpatialExtent,
}


class Neighbours(nn.Module):
    """All pairs of atoms of one molecule within a cutoff, each atom with itself among them.

    In place of torchmd-net's ``OptimizedDistance``, which has room for ``max_num_neighbors`` an atom and fails beyond,
    and on a GPU returns pairs in no fixed order, so that sums over them differ between two runs.

    Args:
        cutoff: Å.
    """

    def __init__(self, cutoff: float) -> None:
        super().__init__()
        self.cutoff = cutoff

    def forward(self, positions: Tensor, batch: Tensor, box: None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Pairs by target atom; the signature is torchmd-net's.

        Args:
            positions: Å [atoms, 3].
            batch: molecule of each atom, int64 [atoms].
            box: none; molecules are not periodic.

        Returns:
            Source and target, int64 [2, pairs]; distances, Å [pairs]; vectors from target to source, Å [pairs, 3].
        """
        target, source = (batch[:, None] == batch).nonzero(as_tuple=True)
        vector = positions[source] - positions[target]
        distance = torch.linalg.vector_norm(vector, dim=-1)
        near = distance < self.cutoff
        return torch.stack([source[near], target[near]]), distance[near], vector[near]


class Network(nn.Module):
    """torchmd-net's representation and a read-out by what the property is.

    A dipole moment is ‖Σ_i μ_i + q_i (r_i - c)‖ and a spatial extent Σ_i q_i ‖r_i - c‖² (as published, after PaiNN,
    Schütt et al., arXiv 2102.03150), c the centre of mass. Atomic charges q_i and dipoles μ_i are what is learnt, in
    whatever unit the labels are scaled to. Any other property is a sum or a mean over atoms.

    Args:
        kind: ``extensive``: a sum; ``intensive``: a mean. Read-outs of an observable sum by their nature.
        observable: see :class:`boomlib.harness.interface.Model`.
        width: features of an atom.
        depth: attention layers.
        heads: attention heads; they divide the width.
        basis: radial basis functions ("expnorm").
        cutoff: atoms further apart do not see each other in one layer, Å.
    """

    def __init__(
        self, *, kind: str, observable: str | None, width: int, depth: int, heads: int, basis: int, cutoff: float
    ) -> None:
        super().__init__()
        self.representation = TorchMD_ET(
            hidden_channels=width,
            num_layers=depth,
            num_heads=heads,
            num_rbf=basis,
            cutoff_upper=cutoff,
            max_z=ELEMENTS,
        )
        self.representation.distance = Neighbours(cutoff)
        self.head = OBSERVABLES.get(observable, EquivariantScalar)(width)
        # not the head's own mean, which divides by one atom more (torchmd-net 3.1, scatter with include_self)
        self.reduce = "mean" if kind == "intensive" and observable not in OBSERVABLES else "sum"
        # training starts from the references; but the norm of a zero dipole has no gradient
        if observable != "dipole_moment":
            last = [layer for layer in self.head.modules() if isinstance(layer, nn.Linear)][-1]
            nn.init.zeros_(last.weight)

    def forward(self, graphs: Batch) -> Tensor:
        """Graphs with positions (:func:`boomlib.models.graph.graphs.make_graphs`) -> standardised labels, [graphs]."""
        positions = graphs.pos.to(self.representation.embedding.weight.dtype)
        atoms = self.head.pre_reduce(*self.representation(graphs.z, positions, graphs.batch))
        molecules = scatter(atoms, graphs.batch, dim_size=graphs.num_graphs, reduce=self.reduce)
        return self.head.post_reduce(molecules)[:, 0]


class EquivariantTransformer(GraphModel):
    """The Equivariant Transformer; a dipole moment and ⟨R²⟩ have read-outs of their own, without references.

    Args:
        width: features of an atom.
        depth: attention layers.
        heads: attention heads.
        basis: radial basis functions.
        cutoff: Å.
        reference: see :class:`boomlib.harness.composition.References`; ``none`` for an observable, as a constant may
            shift neither a norm nor a moment.
        training: see :class:`boomlib.harness.network.Training`.
    """

    def __init__(
        self,
        *,
        width: int,
        depth: int,
        heads: int,
        basis: int,
        cutoff: float,
        reference: Reference,
        observable: str | None = None,
        **common,
    ) -> None:
        reference = "none" if observable in OBSERVABLES else reference
        super().__init__(with_positions=True, reference=reference, observable=observable, **common)
        self.sizes = {"width": width, "depth": depth, "heads": heads, "basis": basis, "cutoff": cutoff}

    def find_unreadable(self, molecules: Molecules) -> dict[int, str]:
        """Those with an element that the embedding has no row for."""
        table, reasons = Chem.GetPeriodicTable(), {}
        for row, numbers in enumerate(split_lists(molecules.features["graph"], "atomic_numbers")):
            beyond = sorted({int(number) for number in numbers if number >= ELEMENTS})
            if beyond:
                symbols = ", ".join(map(table.GetElementSymbol, beyond))
                reasons[row] = f"torchmd-net has no {symbols}, only H to {table.GetElementSymbol(ELEMENTS - 1)}"
        return reasons

    def make_network(self, atom_features: int) -> Network:
        """By kind and observable; elements come as atomic numbers, whatever ``atom_features``."""
        return Network(kind=self.kind, observable=self.observable, **self.sizes)
