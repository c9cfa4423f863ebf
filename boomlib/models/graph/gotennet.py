"""GotenNet on a conformer: atoms with steerable features, without products of Clebsch and Gordan.

Aykent & Xia, ICLR 2025, https://openreview.net/forum?id=5wxCQDtbMo. Its layers are in :mod:`steerable`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from boomlib.harness.interface import Molecules
from boomlib.models.graph.graph_model import GraphModel
from boomlib.models.graph.graphs import Graphs
from boomlib.models.graph.layers import GraphNetwork, read_out
from boomlib.models.graph.near import NearStore
from boomlib.models.graph.steerable import Degrees, Edges, ExpNormalBasis, Layer, compute_harmonics, fade


class Embedding(nn.Module):
    """What atoms and edges start as (section 3.1)::

        m_i = Σ_j (z_j A_nbr) ∘ (e(d_ij) W_ndp) φ(d_ij)
        h_i = σ(LN((z_i A_na, m_i) W_nrd)) W_nru
        t_ij = (h_i + h_j) ∘ (e(d_ij) W_erp)

    Args:
        atom_features: columns of ``x``, which stands for z.
        width: features of an atom.
        basis: radial basis functions.
    """

    def __init__(self, atom_features: int, width: int, basis: int) -> None:
        super().__init__()
        self.itself, self.neighbour = (nn.Linear(atom_features, width, bias=False) for _ in range(2))
        self.filter, self.edge = nn.Linear(basis, width), nn.Linear(basis, width)
        self.atom = nn.Sequential(nn.Linear(2 * width, width), nn.LayerNorm(width), nn.SiLU(), nn.Linear(width, width))

    def forward(
        self, x: Tensor, pairs: Tensor, fading: Tensor, radial: Tensor, alone: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Features of atoms, [atoms, width], and of edges in the order of :class:`Edges`, [edges, width].

        Args:
            x: see :class:`Graphs`.
            pairs: likewise.
            fading: φ(d), [pairs].
            radial: e(d), [pairs, basis].
            alone: e(0), [1, basis].
        """
        lesser, greater = pairs
        sent, filtered = self.neighbour(x), self.filter(radial) * fading[:, None]
        gathered = torch.zeros_like(sent).index_add(0, greater, sent.index_select(0, lesser) * filtered)
        gathered = gathered.index_add(0, lesser, sent.index_select(0, greater) * filtered)
        h = self.atom(torch.cat([self.itself(x), gathered], dim=-1))
        between = (h.index_select(0, lesser) + h.index_select(0, greater)) * self.edge(radial)
        return h, torch.cat([between, between, 2 * h * self.edge(alone)])


def begin_as_published(module: nn.Module) -> None:
    """Weights of a linear layer by Glorot & Bengio, biases 0."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class Network(GraphNetwork):
    """An atom's embedding, layers, then each atom's contribution, summed or averaged over the molecule.

    Args:
        atom_features: columns of ``x``.
        kind: ``extensive``: a sum; ``intensive``: a mean.
        width: features of an atom.
        depth: layers.
        heads: attention heads; they divide the width.
        degrees: the highest degree of steerable features, L_max.
        basis: radial basis functions.
        cutoff: atoms further apart do not see each other in one layer, Å.
        dropout: share of the attention weights that is left out in training.
    """

    def __init__(
        self,
        atom_features: int,
        *,
        kind: str,
        width: int,
        depth: int,
        heads: int,
        degrees: Degrees,
        basis: int,
        cutoff: float,
        dropout: float,
    ) -> None:
        super().__init__()
        self.kind, self.width, self.degrees, self.cutoff = kind, width, degrees, cutoff
        self.basis = ExpNormalBasis(basis, cutoff)
        self.embedding = Embedding(atom_features, width, basis)
        self.layers = nn.ModuleList(
            Layer(width, heads, degrees, dropout, first=layer == 0, last=layer == depth - 1) for layer in range(depth)
        )
        last = nn.Linear(width, 1)
        self.contribution = nn.Sequential(nn.Linear(width, width), nn.SiLU(), last)
        self.apply(begin_as_published)
        nn.init.zeros_(last.weight)  # training starts from the references

    def read(self, graphs: Graphs) -> Tensor:
        """Molecules with positions -> standardised residuals, [molecules]."""
        h, _ = self.represent(graphs)
        return read_out(self.contribution(h), graphs, self.kind)[:, 0]

    def represent(self, graphs: Graphs) -> tuple[Tensor, Sequence[Tensor]]:
        """Features of the atoms, [atoms, width], and for each degree l steerable ones, [atoms, 2l + 1, width]."""
        dtype = self.contribution[-1].weight.dtype
        positions = graphs.pos.to(dtype)
        lesser, greater = graphs.pairs
        vector = positions.index_select(0, lesser) - positions.index_select(0, greater)
        distance = torch.linalg.vector_norm(vector, dim=-1)
        fading = fade(distance, self.cutoff)
        h, t = self.embedding(
            graphs.x.to(dtype), graphs.pairs, fading, self.basis(distance), self.basis(distance.new_zeros(1))
        )
        edges = self.join(graphs.pairs, fading, nn.functional.normalize(vector, dim=-1), len(h))
        steerable = [h.new_zeros(len(h), 2 * degree + 1, self.width) for degree in range(1, self.degrees + 1)]
        for layer in self.layers:
            h, steerable, t = layer(h, steerable, t, edges)
        return h, steerable

    def join(self, pairs: Tensor, fading: Tensor, direction: Tensor, atoms: int) -> Edges:
        """Both ways of the pairs, [2, pairs], and each atom with itself; directions [pairs, 3] are to the lesser."""
        lesser, greater = pairs
        itself = torch.arange(atoms, device=pairs.device)
        harmonics = [
            torch.cat([each, (-1) ** degree * each, each.new_zeros(atoms, each.shape[1])])[:, :, None]
            for degree, each in enumerate(compute_harmonics(direction, self.degrees), start=1)
        ]
        return Edges(
            torch.cat([lesser, greater, itself]),
            torch.cat([greater, lesser, itself]),
            torch.cat([fading, fading, fading.new_ones(atoms)]),
            harmonics,
        )


class GotenNet(GraphModel):
    """GotenNet.

    Args:
        width: features of an atom.
        depth: layers.
        heads: attention heads.
        degrees: the highest degree of steerable features.
        basis: radial basis functions.
        cutoff: Å.
        dropout: of attention weights.
        reference: see :class:`boomlib.harness.references.References`.
        training: see :class:`boomlib.harness.network.Training`.
    """

    def __init__(
        self,
        *,
        width: int,
        depth: int,
        heads: int,
        degrees: Degrees,
        basis: int,
        cutoff: float,
        dropout: float,
        **common,
    ) -> None:
        super().__init__(with_positions=True, **common)
        self.sizes = {"width": width, "depth": depth, "heads": heads, "degrees": degrees, "basis": basis}
        self.sizes |= {"cutoff": cutoff, "dropout": dropout}

    def make_network(self, atom_features: int) -> Network:
        """A sum over atoms for an extensive property, a mean for an intensive one."""
        return Network(atom_features, kind=self.kind, **self.sizes)

    def encode(self, molecules: Molecules) -> NearStore:
        """Graphs of the molecules, with the pairs within the cutoff."""
        return NearStore.within(super().encode(molecules), self.sizes["cutoff"])
