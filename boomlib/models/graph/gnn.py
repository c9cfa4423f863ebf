"""An ablation in three steps: one graph network with bonds alone, with distances, and with coordinates that it moves.

TGNN, IGNN and EGNN of BOOM (arXiv 2505.01912). The last is E(n)-equivariant (Satorras, Hoogeboom & Welling, ICML 2021,
arXiv 2102.09844); the others are what remains of it without moving coordinates, and without coordinates.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from boomlib.models.graph.graph_model import GraphModel
from boomlib.models.graph.graphs import BOND_KINDS, Graphs
from boomlib.models.graph.layers import GaussianBasis, GraphNetwork, read_out

Geometry = Literal["none", "distances", "coordinates"]


class Convolution(nn.Module):
    """One equivariant convolution (Satorras et al., eqs. 3 to 6); without a basis, one on the bonds alone.

    ::

        m_ij = φ_e(h_i, h_j, bond_ij, e(d_ij)) ∘ W e(d_ij)
        x_i ← x_i + Σ_j (x_i - x_j) / (d_ij + 1) φ_x(m_ij)
        h_i ← h_i + φ_h(h_i, Σ_j m_ij)

    Distances enter through a radial basis e instead of as squares, and SchNet's filter W e(d) fades messages out: with
    all pairs connected, messages that grow with distance would tie an atom's features to the size of its molecule. φ_x
    has no bias, so that what is far pushes nothing, and sums can stand for the paper's C = 1/(n - 1).

    Args:
        width: features of an atom and of a message.
        basis: radial basis functions; 0 without positions.
        moves: whether positions are updated.
    """

    def __init__(self, width: int, basis: int, moves: bool) -> None:
        super().__init__()
        # φ_e's first layer in parts: what depends on one atom is computed once an atom, not once an edge
        self.target, self.source = nn.Linear(width, width), nn.Linear(width, width, bias=False)
        self.edge = nn.Linear(BOND_KINDS + basis, width, bias=False)
        self.message = nn.Sequential(nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.filter = nn.Linear(basis, width, bias=False) if basis else None
        self.node = nn.Sequential(nn.Linear(2 * width, width), nn.SiLU(), nn.Linear(width, width))
        self.push = None
        if moves:
            last = nn.Linear(width, 1, bias=False)
            nn.init.xavier_uniform_(last.weight, gain=0.001)  # as published: coordinates hardly move at first
            self.push = nn.Sequential(nn.Linear(width, width, bias=False), nn.SiLU(), last)

    def forward(
        self, h: Tensor, positions: Tensor | None, graphs: Graphs, geometry: "Distances | None"
    ) -> tuple[Tensor, Tensor | None]:
        """One step of features and positions.

        Args:
            h: features, [atoms, width].
            positions: Å [atoms, 3], or None.
            graphs: the molecules.
            geometry: of the pairs by these positions, or None.

        Returns:
            New features and positions.
        """
        lesser, greater = graphs.pairs
        pair, fading = self.read_pairs(graphs, None if geometry is None else geometry.radial)
        sent, received = self.source(h), self.target(h)
        # both ways of a pair, the lesser atom's message first
        joined = torch.stack(
            [
                received.index_select(0, greater) + sent.index_select(0, lesser),
                received.index_select(0, lesser) + sent.index_select(0, greater),
            ]
        )
        message = self.message(joined + pair)
        if fading is not None:
            message = message * fading
        if self.push is not None:
            step = self.push(message) * geometry.direction
            positions = positions.index_add(0, greater, step[0]).index_add(0, lesser, step[1], alpha=-1)
        gathered = torch.zeros_like(h).index_add(0, greater, message[0]).index_add(0, lesser, message[1])
        return h + self.node(torch.cat([h, gathered], dim=-1)), positions

    def read_pairs(self, graphs: Graphs, radial: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """What φ_e reads of each pair, and its filter, [pairs, width] each: the same for both ways.

        Most pairs are no bond, so that the columns of φ_e for kinds of bonds are added where there is one.
        """
        kinds = self.edge.weight[:, :BOND_KINDS].T
        if radial is None:
            return kinds.index_select(0, graphs.order), None
        weights = torch.cat([self.edge.weight[:, BOND_KINDS:], self.filter.weight])
        pair, fading = nn.functional.linear(radial, weights).chunk(2, dim=-1)
        bonded = (kinds - kinds[:1]).index_select(0, graphs.order)
        return (pair + kinds[0]).index_add_(0, graphs.bonded, bonded), fading


class Distances(NamedTuple):
    """Of the pairs of atoms: e(d), [pairs, basis], and (x_greater - x_lesser) / (d + 1), [pairs, 3]."""

    radial: Tensor
    direction: Tensor


class Network(GraphNetwork):
    """Convolutions, then each atom's contribution, summed or averaged over the molecule.

    Args:
        atom_features: columns of ``x``.
        kind: ``extensive``: a sum; ``intensive``: a mean.
        geometry: ``none``, ``distances`` or ``coordinates``, which the convolutions then move.
        width: features of an atom.
        depth: convolutions.
        basis: radial basis functions.
        reach: centre of the last one, Å; atoms that are further apart do not see each other.
    """

    def __init__(
        self, atom_features: int, *, kind: str, geometry: Geometry, width: int, depth: int, basis: int, reach: float
    ) -> None:
        super().__init__()
        self.kind = kind
        self.basis = None if geometry == "none" else GaussianBasis(basis, reach)
        self.embedding = nn.Linear(atom_features, width)
        # nothing reads the positions after the last layer
        self.layers = nn.ModuleList(
            Convolution(width, basis=basis if self.basis else 0, moves=geometry == "coordinates" and layer < depth - 1)
            for layer in range(depth)
        )
        last = nn.Linear(width, 1)
        nn.init.zeros_(last.weight)  # training starts from the references
        nn.init.zeros_(last.bias)
        self.contribution = nn.Sequential(nn.Linear(width, width), nn.SiLU(), last)

    def read(self, graphs: Graphs) -> Tensor:
        """Molecules -> standardised residuals, [molecules]."""
        dtype = self.embedding.weight.dtype
        h = self.embedding(graphs.x.to(dtype))
        positions = graphs.pos.to(dtype) if self.basis else None
        geometry, known = None, None
        for layer in self.layers:
            if positions is not known:  # where positions do not move, once
                geometry, known = self.measure(positions, graphs), positions
            h, positions = layer(h, positions, graphs, geometry)
        return read_out(self.contribution(h), graphs, self.kind)[:, 0]

    def measure(self, positions: Tensor, graphs: Graphs) -> Distances:
        """The geometry of the pairs."""
        lesser, greater = graphs.pairs
        difference = positions.index_select(0, greater) - positions.index_select(0, lesser)
        distance = torch.linalg.vector_norm(difference, dim=-1)
        return Distances(self.basis(distance), difference / (distance[:, None] + 1))


class GNN(GraphModel):
    """The ablation's three models.

    Args:
        geometry: ``none`` (TGNN), ``distances`` (IGNN) or ``coordinates`` (EGNN).
        width: features of an atom.
        depth: convolutions.
        basis: radial basis functions of a distance, for a model that sees any.
        reach: centre of the last one, Å.
        reference: see :class:`boomlib.harness.references.References`.
        training: see :class:`boomlib.harness.network.Training`.
    """

    def __init__(
        self, *, geometry: Geometry, width: int, depth: int, basis: int = 0, reach: float = 0.0, **common
    ) -> None:
        super().__init__(with_positions=geometry != "none", **common)
        self.sizes = {"geometry": geometry, "width": width, "depth": depth, "basis": basis, "reach": reach}

    def make_network(self, atom_features: int) -> Network:
        """A sum over atoms for an extensive property, a mean for an intensive one."""
        return Network(atom_features, kind=self.kind, **self.sizes)
