"""The sequence ``[ENV] [CONTEXT] [CLS] [A] [SMILES …] <time0> | [do] [probe]`` and the heads that read it.

What may see what, up to ``<time0>``: {ENV, CONTEXT, CLS} see each other alone, so that the propensity read from CLS is
blind to the treatment and to the SMILES, which fixes it; {A, SMILES} see all of these and each other; ``<time0>``
sees everything. Without the SMILES the probe answers "what is E[Y | a, x]?", with it "what is this molecule's
outcome?".
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from boomlib.causal.density import Mixture, MixtureDensity, ShiftClassifier
from boomlib.models.nlmtp.backbone import Backbone
from boomlib.models.nlmtp.encoder import PAIR_DESCRIPTORS, Tensors

# tokens before the SMILES, in this order; <time0> stands here in memory, but its position is behind the SMILES
HEAD = ("environment", "context", "cls", "treatment", "time0")
PRE, NATURAL, TIME0 = 0, 1, 2  # a token sees those of its own group and of those before
READ_OUTS = ("sum", "mean", "probe")


@dataclass(frozen=True)
class Reading:
    """What the network says of n molecules in some worlds.

    Attributes:
        outcome: z, [n, worlds].
        alpha: amplitude of the fast weights, [n, worlds, fast layers]; 0 in the observed world.
        pair: change of :data:`PAIR_DESCRIPTORS`, [n, worlds, columns].
        cls: state of the pre-treatment CLS, [n, width].
        density: of the standardised treatment given the context.
    """

    outcome: Tensor
    alpha: Tensor
    pair: Tensor
    cls: Tensor
    density: Mixture


class Network(nn.Module):
    """NL-MTP.

    Args:
        tokens: size of the SMILES vocabulary.
        covariates: columns of the context.
        environments: how many there are.
        length: mean number of SMILES tokens on train, which scales the sum over tokens.
        spread: deviation, in z, of what the linear paths leave to the network, of a molecule's own outcome and of
            m(a, x): the units of its answers.
        read_out: how the molecule's own outcome leaves the tokens: ``sum``, ``mean``, or ``probe`` alone.
        components: Gaussians of the propensity.
        width: features of a token.
        backbone: further arguments of :class:`Backbone`.
    """

    def __init__(
        self,
        *,
        tokens: int,
        covariates: int,
        environments: int,
        length: float,
        spread: tuple[float, float],
        read_out: str,
        components: int,
        width: int,
        **backbone,
    ) -> None:
        super().__init__()
        self.length, self.spread, self.read_out = length, spread, read_out
        self.environment = nn.Embedding(environments, width)
        self.context = nn.Sequential(nn.Linear(covariates, width), nn.GELU(), nn.Linear(width, width))
        self.treatment = nn.Sequential(nn.Linear(1, width), nn.GELU(), nn.Linear(width, width))
        self.token = nn.Embedding(tokens, width, padding_idx=0)
        self.special = nn.ParameterDict(
            {name: nn.Parameter(torch.randn(width) * 0.02) for name in ("cls", "time0", "probe")}
        )
        self.do = nn.Sequential(nn.Linear(1, width), nn.GELU(), nn.Linear(width, width))
        self.backbone = Backbone(width=width, **backbone)
        self.outcome = nn.Linear(width, 1)
        self.share = nn.Linear(width, 1)
        self.pair = nn.Linear(width, len(PAIR_DESCRIPTORS))
        self.density = MixtureDensity(width, components)
        self.classifier = ShiftClassifier(width, width)
        for head in (self.outcome, self.share, self.pair):
            nn.init.zeros_(head.weight)  # start from the linear paths
            nn.init.zeros_(head.bias)

    def forward(self, molecules: Tensors, shift: Tensor, *, hidden: bool) -> Reading:
        """Read molecules once and answer for every world.

        Args:
            molecules: n molecules.
            shift: standardised δ of each world, [n, worlds]; 0 is the observed world.
            hidden: hide the SMILES: the outcome is then m(a, x), else the molecule's own.
        """
        tokens = molecules.tokens[:, :0] if hidden else molecules.tokens
        x, position, mask, visible = self.past(molecules, tokens)
        states, cache = self.backbone.past(x, position, mask)
        worlds = torch.stack([self.do(shift[..., None]), self.special["probe"].expand(*shift.shape, -1)], dim=2)
        start = position[:, HEAD.index("time0")] + 1
        worlds, alpha = self.backbone.worlds(worlds, start, visible, cache, shift != 0)
        probe, cls = worlds[:, :, 1], states[:, HEAD.index("cls")]
        answer = self.outcome(probe)[..., 0]
        if hidden:
            # the line stays at the observed treatment: what a shift does is for the fast weights to learn
            level, slope = molecules.line.unbind(1)
            outcome = (level + slope * molecules.treatment)[:, None] + self.spread[1] * answer
        else:
            answer = answer + self.over_tokens(states, tokens)[:, None]
            outcome = molecules.additive[:, None] + self.spread[0] * answer
        return Reading(outcome, alpha, self.pair(probe), cls, self.density(cls))

    def past(self, molecules: Tensors, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Embedded tokens up to ``<time0>``, positions, mask [n, T, T], and which are not padding, [n, T]."""
        n = len(molecules)
        head = [
            self.environment(molecules.environment),
            self.context(molecules.context),
            self.special["cls"].expand(n, -1),
            self.treatment(molecules.treatment[:, None]),
            self.special["time0"].expand(n, -1),
        ]
        real = tokens > 0
        x = torch.cat([torch.stack(head, dim=1), self.token(tokens)], dim=1)
        place = torch.arange(x.shape[1], device=x.device) - 1  # SMILES tokens follow the treatment
        position = place.repeat(n, 1)
        position[:, : len(HEAD) - 1] = torch.arange(len(HEAD) - 1, device=x.device)
        position[:, HEAD.index("time0")] = len(HEAD) - 1 + real.sum(1)
        group = torch.full((x.shape[1],), NATURAL, device=x.device)
        group[: HEAD.index("treatment")] = PRE
        group[HEAD.index("time0")] = TIME0
        visible = torch.cat([real.new_ones(n, len(HEAD)), real], dim=1)
        return x, position, (group[:, None] >= group) & visible[:, None], visible

    def over_tokens(self, states: Tensor, tokens: Tensor) -> Tensor:
        """Read-out over the SMILES tokens, [n]."""
        if self.read_out == "probe":
            return states.new_zeros(len(states))
        real = tokens > 0
        total = (self.share(states[:, len(HEAD) :])[..., 0] * real).sum(1)
        return total / (self.length if self.read_out == "sum" else real.sum(1))
