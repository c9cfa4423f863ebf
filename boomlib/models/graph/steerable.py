"""GotenNet's layers: atoms with steerable features, attention to what is near, edges that learn from both.

Aykent & Xia, ICLR 2025, https://openreview.net/forum?id=5wxCQDtbMo; what the equations leave open is as in the
authors' code (github.com/sarpaykent/GotenNet) with its settings for QM9, which have no norms between the layers.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

Degrees = Literal[1, 2]


class Edges(NamedTuple):
    """Both ways of each pair of atoms within the cutoff, then each atom with itself.

    Attributes:
        source: the atom that is seen, int64 [edges].
        target: the one that sees it, int64 [edges].
        fading: φ(d), [edges].
        harmonics: of the direction, for each degree l from 1, [edges, 2l + 1, 1]; 0 for an atom with itself.
    """

    source: Tensor
    target: Tensor
    fading: Tensor
    harmonics: Sequence[Tensor]


def fade(distance: Tensor, cutoff: float) -> Tensor:
    """The cosine cutoff φ(d) = (cos(π d / cutoff) + 1) / 2, from 1 down to 0 (Behler, J. Chem. Phys. 134, 2011)."""
    return 0.5 * (torch.cos(distance.clamp(max=cutoff) * (math.pi / cutoff)) + 1)


def compute_harmonics(direction: Tensor, degrees: Degrees) -> list[Tensor]:
    """Real spherical harmonics of unit vectors, each degree scaled to norm 1.

    Args:
        direction: unit vectors [n, 3]; zero gives zero.
        degrees: the highest one.

    Returns:
        For each degree l from 1, [n, 2l + 1].
    """
    if degrees == 1:
        return [direction]
    x, y, z = direction.unbind(-1)
    root = math.sqrt(3)
    second = [root * x * z, root * x * y, y * y - 0.5 * (x * x + z * z), root * y * z, 0.5 * root * (z * z - x * x)]
    return [direction, torch.stack(second, dim=-1)]


def attend(logits: Tensor, target: Tensor, atoms: int) -> Tensor:
    """Softmax over the edges of each target, [edges, heads]."""
    index = target[:, None].expand_as(logits)
    highest = logits.new_zeros(atoms, logits.shape[1]).scatter_reduce(
        0, index, logits.detach(), "amax", include_self=False
    )
    weights = torch.exp(logits - highest.index_select(0, target))
    total = logits.new_zeros(highest.shape).index_add(0, target, weights)
    return weights / total.index_select(0, target)


class ExpNormalBasis(nn.Module):
    """φ(d) exp(-β (exp(-5 d / cutoff) - μ)²) at evenly spaced μ (Unke & Meuwly, PhysNet, arXiv 1902.08408, eq. 7).

    Centres and widths stay as they are, which at a cutoff of 5 Å is where TorchMD-Net's begin.

    Args:
        size: how many.
        cutoff: Å.
    """

    def __init__(self, size: int, cutoff: float) -> None:
        super().__init__()
        self.cutoff, last = cutoff, math.exp(-5)
        self.sharpness = (2 / size * (1 - last)) ** -2
        self.register_buffer("centres", torch.linspace(last, 1, size), persistent=False)

    def forward(self, distance: Tensor) -> Tensor:
        """Distances, Å [pairs] -> [pairs, size]."""
        near = torch.exp(distance * (-5 / self.cutoff))[:, None]
        radial = torch.exp(-self.sharpness * (near - self.centres).square())
        # as in GaussianBasis: denormal numbers are slow
        return nn.functional.threshold(fade(distance, self.cutoff)[:, None] * radial, 1e-17, 0.0)


def perceive(width: int, parts: int, *, inputs: int = 1) -> nn.Sequential:
    """A perceptron from ``inputs`` times the width to ``parts`` times, with a hidden layer as wide as an atom."""
    return nn.Sequential(nn.Linear(inputs * width, width), nn.SiLU(), nn.Linear(width, parts * width))


class Attention(nn.Module):
    """Geometry-aware tensor attention (section 3.3)::

        α_ij = softmax_j(q_i · (k_j ∘ σ(t_ij W_re)) + log φ(d_ij))
        o_ij = α_ij γ_v(h_j) / √width + φ(d_ij) (t_ij W_rs) ∘ γ_s(h_j), in parts s, d^l, t^l
        h_i ← h_i + Σ_j s_ij
        X_i^l ← X_i^l + Σ_j d_ij^l ∘ Y^l(r_ij) + t_ij^l ∘ X_j^l

    log φ is ours: without it an atom that comes within the cutoff attracts attention at once.

    Args:
        width: features of an atom.
        heads: attention heads; they divide the width.
        degrees: of the steerable features.
        dropout: share of the attention weights that is left out in training.
        first: whether it is the first layer, where all steerable features are still 0, and t^l is left out.
    """

    def __init__(self, width: int, heads: int, degrees: int, dropout: float, first: bool) -> None:
        super().__init__()
        parts = 1 + degrees * (1 if first else 2)
        self.width, self.heads, self.degrees = width, heads, degrees
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.edge_key = nn.Sequential(nn.Linear(width, width), nn.SiLU())
        self.value, self.sent = perceive(width, parts), perceive(width, parts)
        self.filter = nn.Linear(width, parts * width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, h: Tensor, steerable: Sequence[Tensor], t: Tensor, edges: Edges) -> tuple[Tensor, list[Tensor]]:
        """One step of the atoms.

        Args:
            h: features, [atoms, width].
            steerable: for each degree l, [atoms, 2l + 1, width].
            t: of the edges, [edges, width].
            edges: the edges.

        Returns:
            New features and steerable features.
        """
        source, target = edges.source, edges.target
        key = self.key(h).index_select(0, source) * self.edge_key(t)
        match = (self.query(h).index_select(0, target) * key).unflatten(-1, (self.heads, -1)).sum(-1)
        weights = self.dropout(attend(match + edges.fading.log()[:, None], target, len(h)) / math.sqrt(self.width))
        # heads cut across the parts, as published
        value = self.value(h).unflatten(-1, (self.heads, -1)).index_select(0, source)
        filtered = self.filter(t) * edges.fading[:, None] * self.sent(h).index_select(0, source)
        gates = ((weights[:, :, None] * value).flatten(1) + filtered)[:, None].split(self.width, dim=-1)
        moved = []
        for degree, (old, harmonics) in enumerate(zip(steerable, edges.harmonics, strict=True), start=1):
            message = gates[degree] * harmonics
            if len(gates) > 1 + self.degrees:
                message = message + gates[degree + self.degrees] * old.index_select(0, source)
            moved.append(old.index_add(0, target, message))
        return h.index_add(0, target, gates[0][:, 0]), moved


class Refinement(nn.Module):
    """Hierarchical tensor refinement: t_ij ← t_ij + σ(t_ij W_t) ∘ Σ_l ⟨X_i^l W_q, X_j^l W_k^l⟩ (section 3.4).

    Of both factors what is along Y^l(r_ij) is left out. As Y^l has norm 1, that leaves ⟨a, b⟩ - ⟨a, Y⟩ ⟨b, Y⟩.

    Args:
        width: features of an atom.
        degrees: of the steerable features.
    """

    def __init__(self, width: int, degrees: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, width, bias=False)
        self.keys = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(degrees))
        self.gate = nn.Sequential(nn.Linear(width, width), nn.SiLU())

    def forward(self, t: Tensor, steerable: Sequence[Tensor], edges: Edges) -> Tensor:
        """New features of the edges, [edges, width]; see :meth:`Attention.forward`."""
        agreement = torch.zeros_like(t)
        for features, key, harmonics in zip(steerable, self.keys, edges.harmonics, strict=True):
            asked = self.query(features).index_select(0, edges.target)
            found = key(features).index_select(0, edges.source)
            along = (asked * harmonics).sum(1) * (found * harmonics).sum(1)
            agreement = agreement + (asked * found).sum(1) - along
        return t + self.gate(t) * agreement


class FeedForward(nn.Module):
    """Equivariant feed-forward (section 3.5, eq. 13): h ← h + m₁, X ← X + m₂ ∘ X W, (m₁, m₂) = γ(h, ‖X W‖).

    The norm is over all degrees, as in the authors' code.

    Args:
        width: features of an atom.
        last: whether it is the last layer, after which nothing reads the steerable features.
    """

    def __init__(self, width: int, last: bool) -> None:
        super().__init__()
        self.mix, self.last = nn.Linear(width, width, bias=False), last
        self.update = perceive(width, 1 if last else 2, inputs=2)

    def forward(self, h: Tensor, steerable: Sequence[Tensor]) -> tuple[Tensor, Sequence[Tensor]]:
        """New features and steerable features; see :meth:`Attention.forward`."""
        mixed = [self.mix(features) for features in steerable]
        # the root of 0 has no gradient
        norm = torch.sqrt(sum(each.square().sum(1) for each in mixed) + 1e-8)
        update = self.update(torch.cat([h, norm], dim=-1))
        if self.last:
            return h + update, steerable
        change, scale = update[:, None].chunk(2, dim=-1)
        moved = [old + scale * each for old, each in zip(steerable, mixed, strict=True)]
        return h + change[:, 0], moved


class Layer(nn.Module):
    """Attention, refinement of the edges, and feed-forward.

    Args:
        width: features of an atom.
        heads: attention heads.
        degrees: of the steerable features.
        dropout: of attention weights.
        first: whether it is the first one.
        last: whether it is the last one, after which nothing reads edges and steerable features.
    """

    def __init__(self, width: int, heads: int, degrees: int, dropout: float, *, first: bool, last: bool) -> None:
        super().__init__()
        self.attention = Attention(width, heads, degrees, dropout, first)
        self.refinement = None if last else Refinement(width, degrees)
        self.feed = FeedForward(width, last)

    def forward(
        self, h: Tensor, steerable: Sequence[Tensor], t: Tensor, edges: Edges
    ) -> tuple[Tensor, Sequence[Tensor], Tensor]:
        """New features, steerable features and features of the edges; see :meth:`Attention.forward`."""
        h, steerable = self.attention(h, steerable, t, edges)
        if self.refinement is not None:
            t = self.refinement(t, steerable, edges)
        return *self.feed(h, steerable), t
