"""A small NL-MTP network and random molecules as it reads them."""

import torch

from boomlib.models.nlmtp.encoder import PAIR_DESCRIPTORS, Tensors
from boomlib.models.nlmtp.network import Network

DEPTH = {"depth": 12, "fast_layers": (3, 7, 11), "rank": 8, "dropout": 0.0}


def make_network(**changes) -> Network:
    """A small network whose heads are not zero, so that everything that may move the outcome does."""
    torch.manual_seed(1)
    arguments = {
        "tokens": 12,
        "covariates": 5,
        "environments": 4,
        "length": 9.0,
        "spread": (1.0, 1.0),
        "read_out": "sum",
        "components": 8,
    }
    backbone = {"width": 32, "heads": 4, "shared_alpha": False, "probe_sees_do": False, **DEPTH}
    network = Network(**arguments | backbone | changes)
    for head in (network.outcome, network.share, network.pair):
        torch.nn.init.normal_(head.weight, std=0.5)
    return network.eval()


def make_tensors(n: int = 6, longest: int = 10) -> Tensors:
    """Random molecules of different lengths; the first is the longest."""
    generator = torch.Generator().manual_seed(2)
    length = torch.randint(3, longest + 1, (n, 1), generator=generator)
    length[0] = longest
    tokens = torch.randint(1, 12, (n, longest), generator=generator) * (torch.arange(longest) < length)
    return Tensors(
        environment=torch.randint(0, 4, (n,), generator=generator),
        context=torch.randn(n, 5, generator=generator),
        treatment=torch.randn(n, generator=generator),
        tokens=tokens,
        additive=torch.randn(n, generator=generator),
        line=torch.randn(n, 3, generator=generator),
        descriptors=torch.randn(n, len(PAIR_DESCRIPTORS), generator=generator),
        outcome=torch.randn(n, generator=generator),
        group=torch.randint(2, 9, (n, 4), generator=generator),
        group_count=torch.randint(1, 3, (n, 4), generator=generator).float(),
        group_line=torch.randn(n, generator=generator),
    )


def worlds(n: int, *shifts: float) -> torch.Tensor:
    return torch.tensor(shifts).expand(n, -1)
