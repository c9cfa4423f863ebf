"""NL-MTP's two worlds from one shared past, against running the whole sequence once a world.

    python benchmarks/shared_prefix.py                       # the small descriptor's size
    python benchmarks/shared_prefix.py --width 512 --heads 8 # the full size

Forward and backward of one world, of two worlds, and of a sweep of nine shifts, in turns on the same batch; the naive
way puts ``[do] [probe]`` behind the past and runs everything for each world. The largest difference is printed.
"""

import argparse
import statistics
import time

import torch
from torch import Tensor

from boomlib.models.nlmtp.backbone import WORLD, Backbone, rotate, rotations


def naive(backbone: Backbone, past: Tensor, position: Tensor, mask: Tensor, world: Tensor, active: Tensor) -> Tensor:
    """States of all tokens, [n, T + 2, width], by running past and one world as one sequence.

    Written out a second time, without a cache: attention over the whole sequence under one mask, fast weights as
    matrices a sample, applied to the last two tokens.

    Args:
        backbone: the layers.
        past: embedded tokens up to ``<time0>``, [n, T, width].
        position: int [n, T]; the largest of a row is ``<time0>``'s.
        mask: bool [n, T, T].
        world: embedded ``[do]`` and ``[probe]``, [n, 2, width].
        active: bool [n]: not the observed world.
    """
    n, length, _ = past.shape
    x = torch.cat([past, world], dim=1)
    behind = position.max(1, keepdim=True).values + 1 + torch.arange(WORLD)
    rotation = rotations(torch.cat([position, behind], dim=1), backbone.frequencies)
    full = torch.zeros(n, length + WORLD, length + WORLD, dtype=torch.bool)
    full[:, :length, :length] = mask
    full[:, length:, :length] = mask.any(1, keepdim=True)
    full[:, length:, length:] = torch.eye(WORLD)  # [do] and [probe] do not see each other
    for layer in backbone.layers:
        h = layer.norm_attention(x)
        matrices = {}
        if layer.fast is not None:
            do = h[:, length]
            alpha = torch.sigmoid(layer.fast.amplitude(do)) * active[:, None]
            gates = torch.tanh(layer.fast.gate(do)).view(n, 4, -1)
            for index, site in enumerate(("query", "key", "output", "mlp")):
                scaled = layer.fast.down[site] * (alpha * gates[:, index])[:, None]
                matrices[site] = scaled @ layer.fast.up[site]

        def changed(linear, site, inputs, matrices=matrices):
            out = linear(inputs)
            if site not in matrices:
                return out
            return torch.cat([out[:, :length], out[:, length:] + inputs[:, length:] @ matrices[site]], dim=1)

        query = rotate(layer.split(changed(layer.query, "query", h)), rotation)
        key = rotate(layer.split(changed(layer.key, "key", h)), rotation)
        score = query @ key.transpose(2, 3) / query.shape[-1] ** 0.5
        share = score.masked_fill(~full[:, None], -torch.inf).softmax(-1)
        seen = (share @ layer.split(layer.value(h))).transpose(1, 2).flatten(2)
        x = x + changed(layer.output, "output", seen)
        x = x + changed(layer.contract, "mlp", torch.nn.functional.gelu(layer.expand(layer.norm_mlp(x))))
    return backbone.norm(x)


def shared(backbone: Backbone, past: Tensor, position: Tensor, mask: Tensor, worlds: Tensor, active: Tensor) -> Tensor:
    """The same for all worlds at once, [n, worlds, 2, width] -> the same shape, as NL-MTP does."""
    _, cache = backbone.past(past, position, mask)
    start = position.max(1, keepdim=True).values + 1
    return backbone.worlds(worlds, start, mask.any(1, keepdim=True), cache, active)[0]


def naive_worlds(
    backbone: Backbone, past: Tensor, position: Tensor, mask: Tensor, worlds: Tensor, active: Tensor
) -> Tensor:
    """The naive way for each world in turn."""
    each = [
        naive(backbone, past, position, mask, worlds[:, w], active[:, w])[:, -WORLD:] for w in range(worlds.shape[1])
    ]
    return torch.stack(each, dim=1)


def make_inputs(backbone: Backbone, n: int, length: int, worlds: int) -> tuple[Tensor, ...]:
    """Random tokens of molecules of different lengths, a block mask like NL-MTP's, and worlds (first observed)."""
    torch.manual_seed(0)
    width = backbone.norm.normalized_shape[0]
    visible = torch.arange(length) < torch.randint(length // 2, length + 1, (n, 1))
    visible[0] = True
    group = torch.tensor([0, 0, 0, *[1] * (length - 3)])
    mask = (group[:, None] >= group) & visible[:, None]
    position = torch.arange(length).repeat(n, 1)
    active = torch.ones(n, worlds, dtype=torch.bool)
    active[:, 0] = False
    return torch.randn(n, length, width), position, mask, torch.randn(n, worlds, WORLD, width), active


def main() -> None:
    """Print milliseconds and ratios to one world."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=64, help="features of a token")
    parser.add_argument("--heads", type=int, default=4, help="attention heads")
    parser.add_argument("--batch", type=int, default=64, help="molecules")
    parser.add_argument("--length", type=int, default=46, help="tokens up to <time0>; 10K CSD has 46 on average")
    parser.add_argument("--rounds", type=int, default=10, help="turns of each")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    backbone = Backbone(
        width=arguments.width,
        depth=12,
        heads=arguments.heads,
        fast_layers=(3, 7, 11),
        rank=8,
        shared_alpha=False,
        probe_sees_do=False,
        dropout=0.0,
    )
    cases = {
        "one world": (shared, 1),
        "two worlds, shared past": (shared, 2),
        "two worlds, naive": (naive_worlds, 2),
        "nine shifts, shared past": (shared, 9),
        "nine shifts, naive": (naive_worlds, 9),
    }
    inputs = {n: make_inputs(backbone, arguments.batch, arguments.length, n) for _, n in cases.values()}
    with torch.no_grad():
        difference = (shared(backbone, *inputs[2]) - naive_worlds(backbone, *inputs[2])).abs().max()
    seconds = {name: [] for name in cases}
    for turn in range(arguments.rounds + 1):
        for name, (way, worlds) in cases.items():
            backbone.zero_grad()
            start = time.perf_counter()
            way(backbone, *inputs[worlds]).square().mean().backward()
            if turn:  # the first turn warms up
                seconds[name].append(time.perf_counter() - start)
    one = statistics.median(seconds["one world"])
    print(f"largest difference of the two ways: {difference:.1e}")
    for name, each in seconds.items():
        print(f"{name:28}{1000 * statistics.median(each):9.1f} ms{statistics.median(each) / one:8.2f} x one world")


if __name__ == "__main__":
    main()
