"""Graphormer on a conformer: all atoms of a molecule attend to one another, biased by distance and bond.

Ying et al., NeurIPS 2021, arXiv 2106.05234; with distances Shi et al., arXiv 2203.04810 (Graphormer-3D).
"""

import torch
from torch import Tensor, nn

from boomlib.models.graph.graph_model import GraphModel
from boomlib.models.graph.graphs import BOND_KINDS, Graphs
from boomlib.models.graph.layers import GaussianBasis, GraphNetwork, read_out


class Block(nn.Module):
    """Attention and a feed-forward network, each after a layer norm and beside a residual (Ying et al., eqs. 8, 9).

    Args:
        width: features of an atom; the feed-forward network is as wide, as published.
        heads: attention heads; they divide the width.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.project = nn.LayerNorm(width), nn.Linear(width, 3 * width)
        self.merge = nn.Linear(width, width)
        self.feed = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))

    def forward(self, h: Tensor, bias: Tensor) -> Tensor:
        """One step.

        Args:
            h: features, [molecules, atoms, width].
            bias: added to the logits of attention, [molecules, heads, atoms that attend, atoms attended to].

        Returns:
            New features.
        """
        query, key, value = self.project(self.norm(h)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        attended = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        h = h + self.merge(attended.transpose(1, 2).flatten(-2))
        return h + self.feed(h)


class Network(GraphNetwork):
    """An atom's embedding, blocks of attention, then each atom's contribution, summed or averaged over the molecule.

    A pair's distance, as Gaussians, and the kind of its bond give the bias of attention, one for all blocks (Shi et
    al.'s spatial encoding), and the filter through which an atom's neighbours add to its embedding. The last stands in
    place of their centrality encoding, which tells elements apart by Gaussians of their own for each pair of elements;
    its form is the Equivariant Transformer's (Thölke & De Fabritiis, arXiv 2202.02541, eq. 3).

    Args:
        atom_features: columns of ``x``.
        kind: ``extensive``: a sum; ``intensive``: a mean.
        width: features of an atom.
        depth: blocks.
        heads: attention heads.
        basis: Gaussians of a distance.
        reach: centre of the last one, Å; distances further out look alike.
    """

    def __init__(
        self, atom_features: int, *, kind: str, width: int, depth: int, heads: int, basis: int, reach: float
    ) -> None:
        super().__init__()
        self.kind = kind
        self.basis = GaussianBasis(basis, reach)
        self.embedding = nn.Linear(atom_features, width)
        pair = basis + BOND_KINDS - 1
        self.neighbour, self.filter = nn.Linear(atom_features, width, bias=False), nn.Linear(pair, width, bias=False)
        self.bias = nn.Sequential(nn.Linear(pair, pair), nn.GELU(), nn.Linear(pair, heads))
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        last = nn.Linear(width, 1)
        nn.init.zeros_(last.weight)  # training starts from the references
        nn.init.zeros_(last.bias)
        self.contribution = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), last)

    def read(self, graphs: Graphs) -> Tensor:
        """Molecules with positions -> standardised residuals, [molecules]."""
        dtype = self.embedding.weight.dtype
        lesser, greater = graphs.pairs
        positions, x = graphs.pos.to(dtype), graphs.x.to(dtype)
        distance = torch.linalg.vector_norm(positions[greater] - positions[lesser], dim=-1)
        bonds = distance.new_zeros(len(distance), BOND_KINDS - 1)
        bonds[graphs.bonded, graphs.order - 1] = bonds.new_ones(())  # a plain 1 would be sent, and waited for
        pair = torch.cat([self.basis(distance), bonds], dim=-1)
        sent, fading = self.neighbour(x), self.filter(pair)
        h = self.embedding(x)
        h = h.index_add(0, greater, sent.index_select(0, lesser) * fading)
        h = h.index_add(0, lesser, sent.index_select(0, greater) * fading)
        place, real = graphs.padded, torch.arange(graphs.longest, device=x.device) < graphs.size[:, None]
        h = h.new_zeros(real.numel(), h.shape[1]).index_copy(0, place, h).view(*real.shape, -1)
        bias = self.spread(self.bias(pair), graphs, place).masked_fill(~real[:, None, None, :], -torch.inf)
        for block in self.blocks:
            h = block(h, bias)
        return read_out(self.contribution(h.flatten(0, 1)[place]), graphs, self.kind)[:, 0]

    @staticmethod
    def spread(pair: Tensor, graphs: Graphs, place: Tensor) -> Tensor:
        """What belongs to pairs, [pairs, heads], as [molecules, heads, atoms, atoms].

        An atom's bias towards itself is 0, as softmax knows differences alone.
        """
        n = graphs.longest
        lesser, greater = graphs.pairs
        row, column = place[lesser], place[greater] % n
        ways = torch.cat([row * n + column, place[greater] * n + place[lesser] % n])
        dense = pair.new_zeros(len(graphs) * n * n, pair.shape[1]).index_copy(0, ways, torch.cat([pair, pair]))
        return dense.view(len(graphs), n, n, -1).permute(0, 3, 1, 2)


class Graphormer(GraphModel):
    """Graphormer-3D.

    Args:
        width: features of an atom.
        depth: blocks.
        heads: attention heads.
        basis: Gaussians of a distance.
        reach: centre of the last one, Å.
        reference: see :class:`boomlib.harness.references.References`.
        training: see :class:`boomlib.harness.network.Training`.
    """

    def __init__(self, *, width: int, depth: int, heads: int, basis: int, reach: float, **common) -> None:
        super().__init__(with_positions=True, **common)
        self.sizes = {"width": width, "depth": depth, "heads": heads, "basis": basis, "reach": reach}

    def make_network(self, atom_features: int) -> Network:
        """A sum over atoms for an extensive property, a mean for an intensive one."""
        return Network(atom_features, kind=self.kind, **self.sizes)
