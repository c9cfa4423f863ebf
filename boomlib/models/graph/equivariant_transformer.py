"""The Equivariant Transformer of TorchMD-Net on a conformer: atoms with vectors, attention to what is near.

Thölke & De Fabritiis, ICLR 2022, arXiv 2202.02541. Representation and read-outs are those of torchmd-net.
"""

import torch
from rdkit import Chem
from torch import Tensor, nn
from torchmdnet.models.output_modules import (
    EquivariantDipoleMoment,
    EquivariantElectronicSpatialExtent,
    EquivariantScalar,
)
from torchmdnet.models.torchmd_et import TorchMD_ET

from boomlib.harness.columns import split_lists
from boomlib.harness.interface import Molecules
from boomlib.harness.references import Reference
from boomlib.models.graph.graph_model import GraphModel
from boomlib.models.graph.graphs import Graphs
from boomlib.models.graph.layers import GraphNetwork, read_out

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

    def forward(self, positions: Tensor, batch: Tensor, box: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Both ways of the pairs, then each atom with itself; the signature is torchmd-net's.

        Args:
            positions: Å [atoms, 3].
            batch: molecule of each atom, not read.
            box: the unordered pairs of atoms, int64 [2, pairs]: molecules are not periodic, and torchmd-net hands on
                untouched what stands in the place of a box.

        Returns:
            Source and target, int64 [2, edges]; distances, Å [edges]; vectors from target to source, Å [edges, 3].
        """
        vector = positions[box[1]] - positions[box[0]]
        distance = torch.linalg.vector_norm(vector, dim=-1)
        near = torch.nonzero(distance < self.cutoff)[:, 0]  # once, which a mask would do each time that it picks
        lesser, greater = box[:, near]
        vector, distance = vector[near], distance[near]
        itself = torch.arange(len(positions), device=positions.device)
        edges = torch.stack([torch.cat([greater, lesser, itself]), torch.cat([lesser, greater, itself])])
        return (
            edges,
            torch.cat([distance, distance, distance.new_zeros(len(positions))]),
            torch.cat([vector, -vector, torch.zeros_like(positions)]),
        )


class Network(GraphNetwork):
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
        self.kind = "extensive" if observable in OBSERVABLES else kind
        # training starts from the references; but the norm of a zero dipole has no gradient
        if observable != "dipole_moment":
            last = [layer for layer in self.head.modules() if isinstance(layer, nn.Linear)][-1]
            nn.init.zeros_(last.weight)

    def read(self, graphs: Graphs) -> Tensor:
        """Molecules with positions -> standardised labels, [molecules]."""
        positions = graphs.pos.to(self.representation.embedding.weight.dtype)
        atoms = self.head.pre_reduce(*self.representation(graphs.z, positions, graphs.molecule, graphs.pairs))
        return self.head.post_reduce(read_out(atoms, graphs, self.kind))[:, 0]


class EquivariantTransformer(GraphModel):
    """The Equivariant Transformer; a dipole moment and ⟨R²⟩ have read-outs of their own, without references.

    Args:
        width: features of an atom.
        depth: attention layers.
        heads: attention heads.
        basis: radial basis functions.
        cutoff: Å.
        reference: see :class:`boomlib.harness.references.References`; ``none`` for an observable, as a constant may
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
