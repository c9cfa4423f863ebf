"""A transformer whose past is computed once and shared by many futures, with in-stream low-rank fast weights ("LoR").

The past is everything up to and with ``<time0>``. It never looks at what follows and never meets a fast weight: its
keys and values serve every world. A world is a pair of tokens after ``<time0>``: ``[do]`` and ``[probe]``. Both see
the past; neither sees the other or another world. What ``[do]`` says reaches ``[probe]`` through the fast weights
alone: else the shift could pass by attention, and α, which only its penalty would still move, would die.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from boomlib.harness.ragged import send

WORLD = 2  # tokens of one world: [do], [probe]
SITES = ("query", "key", "output", "mlp")
Cached = tuple[Tensor, Tensor]  # keys and values of one layer
Cache = list[Cached]


class FastWeights(nn.Module):
    """Low-rank updates x -> α·((x V) ⊙ g) U of one layer, whose gates g and amplitude α the ``[do]`` token emits.

    Equal to a weight matrix a sample, V diag(α g) U, without ever forming it.

    Args:
        width: features of a token.
        hidden: features inside the layer's perceptron.
        rank: rank of each update.
        shared_alpha: one amplitude for all molecules and shifts (an ablation).

    The gates lie in (-1, 1): only α sets the amplitude, which else could shrink while the gates grow.
    """

    def __init__(self, width: int, hidden: int, rank: int, shared_alpha: bool) -> None:
        super().__init__()
        self.shared_alpha = shared_alpha
        inputs = dict.fromkeys(SITES, width) | {"mlp": hidden}
        self.down = nn.ParameterDict({site: nn.Parameter(torch.randn(n, rank) / n**0.5) for site, n in inputs.items()})
        self.up = nn.ParameterDict({site: nn.Parameter(torch.randn(rank, width) * 0.02) for site in SITES})
        self.gate = nn.Linear(width, len(SITES) * rank)
        self.amplitude = nn.Linear(width, 1)
        nn.init.ones_(self.gate.bias)

    def open(self, do: Tensor, active: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Gates times amplitude of each site, [n, worlds, 1, rank], and the amplitude α ∈ [0, 1], [n, worlds].

        Args:
            do: states of the ``[do]`` tokens, [n, worlds, width].
            active: bool [n, worlds]; where False (the observed world) α is 0.
        """
        amplitude = self.amplitude(torch.zeros_like(do) if self.shared_alpha else do)[..., 0]
        alpha = torch.sigmoid(amplitude) * active
        gates = torch.tanh(self.gate(do)).unflatten(-1, (len(SITES), -1)) * alpha[..., None, None]
        return {site: gates[:, :, None, index] for index, site in enumerate(SITES)}, alpha

    def update(self, site: str, x: Tensor, gates: dict[str, Tensor]) -> Tensor:
        """What is added to the site's output for inputs x, [n, worlds · 2, inputs]."""
        inner = (x @ self.down[site]).unflatten(1, (-1, WORLD)) * gates[site]
        return inner.flatten(1, 2) @ self.up[site]

    def norms(self) -> Tensor:
        """Mean squared entry of all factors: the recipe's Frobenius norms, whatever the width."""
        factors = [*self.down.values(), *self.up.values()]
        return torch.stack([factor.square().mean() for factor in factors]).mean()


class Layer(nn.Module):
    """Pre-norm attention and perceptron with rotary positions (Su et al. 2021, 10.1016/j.neucom.2023.127063)."""

    def __init__(self, width: int, heads: int, dropout: float, fast: FastWeights | None) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm_attention, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value, self.output = (nn.Linear(width, width) for _ in range(4))
        self.expand, self.contract = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.fast = fast

    def forward(
        self, x: Tensor, rotation: Tensor, bias: Tensor, past: Cached | None, active: Tensor | None
    ) -> tuple[Tensor, Cached, Tensor | None]:
        """One layer.

        Args:
            x: tokens, [n, T, width].
            rotation: complex [n, 1, T, width / heads / 2], from :func:`rotations`.
            bias: what is added to the scores, [n · heads, T, cached + T], from :meth:`Backbone.bias`.
            past: keys and values of earlier tokens, each [n, heads, cached, width / heads].
            active: bool [n, worlds] where x holds the tokens of worlds, else None: no fast weights.

        Returns:
            The tokens, their keys and values, and α [n, worlds] if the layer has fast weights and ``active`` is given.
        """
        h = self.norm_attention(x)
        fast, alpha = None, None
        if self.fast is not None and active is not None:
            gates, alpha = self.fast.open(h[:, ::WORLD], active)

            def fast(site: str, inputs: Tensor) -> Tensor:
                return self.fast.update(site, inputs, gates)

        query, key, value = self.project(h)
        if fast:
            query, key = query + fast("query", h), key + fast("key", h)
        query, key, value = rotate(self.split(query), rotation), rotate(self.split(key), rotation), self.split(value)
        keys, values = (key, value) if past is None else (torch.cat([past[0], key], 2), torch.cat([past[1], value], 2))
        seen = attend(query, keys, values, bias).transpose(1, 2).flatten(2)
        x = x + self.drop(self.output(seen) + fast("output", seen) if fast else self.output(seen))
        h = functional.gelu(self.expand(self.norm_mlp(x)))
        x = x + self.drop(self.contract(h) + fast("mlp", h) if fast else self.contract(h))
        return x, (key, value), alpha

    def project(self, h: Tensor) -> tuple[Tensor, ...]:
        """Query, key and value, [n, T, width] each, as one product: three narrow ones keep a processor less busy."""
        maps = (self.query, self.key, self.value)
        weight, bias = torch.cat([each.weight for each in maps]), torch.cat([each.bias for each in maps])
        return functional.linear(h, weight, bias).chunk(3, dim=-1)

    def split(self, x: Tensor) -> Tensor:
        """[n, T, width] -> [n, heads, T, width / heads]."""
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)

    def drop(self, x: Tensor) -> Tensor:
        """Dropout while training."""
        return functional.dropout(x, self.dropout, self.training)


class Backbone(nn.Module):
    """Layers that read the past once and then any number of worlds.

    Args:
        width: features of a token.
        depth: layers.
        heads: attention heads.
        fast_layers: layers with fast weights, counted from 0.
        rank: their rank.
        shared_alpha: see :class:`FastWeights`.
        probe_sees_do: whether ``[probe]`` may attend to ``[do]`` (an ablation).
        dropout: share of features dropped after attention and perceptron.
    """

    def __init__(
        self,
        *,
        width: int,
        depth: int,
        heads: int,
        fast_layers: Sequence[int],
        rank: int,
        shared_alpha: bool,
        probe_sees_do: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        self.probe_sees_do = probe_sees_do
        # not in double precision: whole positions times these are the angles that training saw
        self.frequencies = 10_000.0 ** (-torch.arange(0, width // heads, 2) / (width // heads))
        fast = {index: FastWeights(width, 4 * width, rank, shared_alpha) for index in fast_layers}
        self.layers = nn.ModuleList(Layer(width, heads, dropout, fast.get(index)) for index in range(depth))
        self.norm = nn.LayerNorm(width)

    def past(self, x: Tensor, position: Tensor, mask: Tensor) -> tuple[Tensor, Cache]:
        """States of the tokens up to ``<time0>``, [n, T, width], and every layer's keys and values.

        Args:
            x: embedded tokens, [n, T, width].
            position: int [n, T].
            mask: bool [n, T, T], True where a query (row) may see a key.
        """
        rotation, bias, cache = rotations(position, self.frequencies), self.bias(mask, x.dtype), []
        for layer in self.layers:
            x, kept, _ = layer(x, rotation, bias, None, None)
            cache.append(kept)
        return self.norm(x), cache

    def worlds(
        self, x: Tensor, position: Tensor, visible: Tensor, cache: Cache, active: Tensor
    ) -> tuple[Tensor, Tensor]:
        """States of the worlds' tokens, [n, worlds, 2, width], and α of each fast layer, [n, worlds, fast layers].

        Args:
            x: embedded tokens ``[do]`` and ``[probe]`` of each world, [n, worlds, 2, width].
            position: int [n, worlds], position of the ``[do]`` tokens; [n, 1] where all worlds start at the same time.
            visible: bool [n, worlds, T], what of the past a world may see; [n, 1, T] where that is the same for all.
            cache: what :meth:`past` returned.
            active: bool [n, worlds], False in the observed world, where fast weights rest.
        """
        n, worlds = active.shape
        steps = torch.arange(WORLD, device=x.device)
        rotation = rotations((position.expand(-1, worlds)[..., None] + steps).flatten(1), self.frequencies)
        own = torch.eye(worlds * WORLD, dtype=torch.bool, device=x.device)
        if self.probe_sees_do:
            probe = torch.arange(1, worlds * WORLD, WORLD, device=x.device)
            own[probe, probe - 1] = own.new_ones(())
        seen = visible.expand(-1, worlds, -1).repeat_interleave(WORLD, 1)
        bias = self.bias(torch.cat([seen, own.expand(n, -1, -1)], 2), x.dtype)
        x, alphas = x.flatten(1, 2), []
        for layer, past in zip(self.layers, cache, strict=True):
            x, _, alpha = layer(x, rotation, bias, past, active)
            if alpha is not None:
                alphas.append(alpha)
        empty = x.new_zeros(n, worlds, 0)
        return self.norm(x).unflatten(1, (worlds, WORLD)), torch.stack(alphas, -1) if alphas else empty

    def bias(self, mask: Tensor, dtype: torch.dtype) -> Tensor:
        """What is added to the scores of all heads and layers: 0 where ``mask``, [n, T, S], is True, else -∞.

        For :func:`attend`: on a CPU [n · heads, T, S], on a GPU [n, 1, T, S].
        """
        scores = torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(~mask, -torch.inf)
        return scores[:, None] if mask.is_cuda else scores.repeat_interleave(self.layers[0].heads, 0)


def attend(query: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> Tensor:
    """Attention, [n, heads, T, features], with ``bias`` of :meth:`Backbone.bias` added to its scores.

    On a CPU plain products take two thirds of the time of PyTorch's fused kernel at heads as narrow as ours.
    """
    if query.is_cuda:
        return functional.scaled_dot_product_attention(query, keys, values, attn_mask=bias)
    shape = query.shape[:2]
    query, keys, values = (each.flatten(0, 1) for each in (query, keys, values))
    share = torch.baddbmm(bias, query, keys.transpose(1, 2), alpha=query.shape[-1] ** -0.5).softmax(-1)
    return torch.bmm(share, values).unflatten(0, shape)


def rotations(position: Tensor, frequencies: Tensor) -> Tensor:
    """Rotary factors e^{i·position·frequency}, complex [n, 1, T, frequencies]."""
    angle = position[:, None, :, None].float() * send(frequencies, position.device)
    return torch.polar(torch.ones_like(angle), angle)


def rotate(x: Tensor, rotation: Tensor) -> Tensor:
    """Turn pairs of features of x, [n, heads, T, features], by their token's angle."""
    # complex numbers know no bfloat16
    pairs = torch.view_as_complex((x if x.dtype == torch.float64 else x.float()).unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * rotation).flatten(-2).type_as(x)
