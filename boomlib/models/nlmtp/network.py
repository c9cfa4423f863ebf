"""The sequence ``[ENV] [CONTEXT] [CLS] [A] [SMILES …] <time0> | [do] [probe]`` and the heads that read it.

What may see what, up to ``<time0>``: {ENV, CONTEXT, CLS} see each other alone, so that the propensity read from CLS is
blind to the treatment and to the SMILES, which fixes it; {A, SMILES} see all of these and each other; ``<time0>``
sees everything. Without the SMILES the probe answers "what is E[Y | a, x]?", with it "what is this molecule's
outcome?".
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from boomlib.causal.density import Mixture, MixtureDensity, ShiftClassifier
from boomlib.harness.ragged import send
from boomlib.models.nlmtp.backbone import Backbone
from boomlib.models.nlmtp.encoder import PAIR_DESCRIPTORS, Tensors

# the sequence in memory; <time0>'s position is behind the SMILES
BEFORE = ("environment", "context", "cls")
OWN = ("treatment", "time0")  # of each question, and then its SMILES
PRE, NATURAL, TIME0 = 0, 1, 2  # a token sees those of its own group and of those before
EVERYBODY = -1  # whose the tokens before the treatment are


@dataclass(frozen=True)
class Question:
    """What is asked of n molecules.

    Attributes:
        shift: standardised δ of each world, [n, worlds]; 0 is the observed world.
        hidden: hide the SMILES: the outcome is then m(a, x), else the molecule's own.
        moved: what is added to the treatment that was observed, a number or [n].
    """

    shift: Tensor
    hidden: bool
    moved: float | Tensor = 0.0


@dataclass(frozen=True)
class Past:
    """The T tokens up to ``<time0>`` of all questions.

    Attributes:
        x: embedded, [n, T, width].
        position: int [n, T].
        visible: bool [n, T], False at padding.
        group: int [T], :data:`PRE`, :data:`NATURAL` or :data:`TIME0`.
        owner: int [T], the question that a token belongs to, or :data:`EVERYBODY`.
        end: position of each question's ``<time0>``, int [n, questions].
        own: where the tokens of each question are.
    """

    x: Tensor
    position: Tensor
    visible: Tensor
    group: Tensor
    owner: Tensor
    end: Tensor
    own: Sequence[slice]

    @property
    def mask(self) -> Tensor:
        """Which token (row) may see which, bool [n, T, T]."""
        return (self.group[:, None] >= self.group) & self.open_to(self.owner)

    def open_to(self, question: Tensor) -> Tensor:
        """Which tokens are a question's own or everybody's and no padding, bool [n, k, T] for questions [k]."""
        shared = (self.owner == question[:, None]) | (self.owner == EVERYBODY)
        return shared & self.visible[:, None]


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
        """Answer one :class:`Question`."""
        return self.answer(molecules, [Question(shift, hidden)])[0]

    def answer(self, molecules: Tensors, questions: Sequence[Question]) -> list[Reading]:
        """Read molecules once and answer every question in each of its worlds.

        What stands before the treatment is common to all questions. Behind it each has a stretch of the sequence to
        itself, ``[A] <time0> [SMILES …]``, which the others do not see: all together take the steps of one.
        """
        past = self.past(molecules, questions)
        states, cache = self.backbone.past(past.x, past.position, past.mask)
        shift, counts = torch.cat([each.shift for each in questions], 1), [each.shift.shape[1] for each in questions]
        worlds = torch.stack([self.do(shift[..., None]), self.special["probe"].expand(*shift.shape, -1)], dim=2)
        asker = send(torch.arange(len(counts)).repeat_interleave(torch.tensor(counts)), shift.device)
        start = past.end[:, asker] + 1
        worlds, alpha = self.backbone.worlds(worlds, start, past.open_to(asker), cache, shift != 0)
        probe, cls = worlds[:, :, 1], states[:, BEFORE.index("cls")]
        said = [each.split(counts, dim=1) for each in (self.outcome(probe)[..., 0], alpha, self.pair(probe))]
        density, readings = self.density(cls), []
        for index, (question, answer, amplitude, pair) in enumerate(zip(questions, *said, strict=True)):
            outcome = self.to_outcome(molecules, question, answer, states[:, past.own[index]])
            readings.append(Reading(outcome, amplitude, pair, cls, density))
        return readings

    def past(self, molecules: Tensors, questions: Sequence[Question]) -> Past:
        """What is read before any world: the tokens of all questions, then each one's own."""
        n, longest = molecules.tokens.shape
        place = torch.arange(len(BEFORE) + 1 + longest, device=molecules.tokens.device).repeat(n, 1)
        before, treatment, smiles = place.split([len(BEFORE), 1, longest], dim=1)
        first = (self.environment(molecules.environment), self.context(molecules.context))
        x = [torch.stack([*first, self.special["cls"].expand(n, -1)], dim=1)]
        position, visible = [before], [torch.ones_like(before, dtype=torch.bool)]
        group, owner, ends, own = [PRE] * len(BEFORE), [EVERYBODY] * len(BEFORE), [], []
        for index, question in enumerate(questions):
            tokens = molecules.tokens[:, : 0 if question.hidden else longest]
            real = tokens > 0
            given = self.treatment((molecules.treatment + question.moved)[:, None])
            x += [given[:, None], self.special["time0"].expand(n, 1, -1), self.token(tokens)]
            end = treatment + 1 + real.sum(1, keepdim=True)
            position += [treatment, end, smiles[:, : tokens.shape[1]]]
            visible += [torch.ones_like(end, dtype=torch.bool).expand(-1, len(OWN)), real]
            group += [NATURAL, TIME0] + [NATURAL] * tokens.shape[1]
            own.append(slice(len(owner), len(owner) + len(OWN) + tokens.shape[1]))
            owner += [index] * (len(OWN) + tokens.shape[1])
            ends.append(end)
        x, position, visible, end = (torch.cat(each, dim=1) for each in (x, position, visible, ends))
        group, owner = (send(torch.tensor(each), place.device) for each in (group, owner))
        return Past(x, position, visible, group, owner, end, own)

    def to_outcome(self, molecules: Tensors, question: Question, answer: Tensor, states: Tensor) -> Tensor:
        """The outcome z in each world, [n, worlds].

        Args:
            molecules: the molecules.
            question: what was asked.
            answer: what the probe says, [n, worlds].
            states: of the question's own tokens, [n, T, width].
        """
        if question.hidden:
            # the line stays at the observed treatment: what a shift does is for the fast weights to learn
            level, slope = molecules.line.unbind(1)
            line = level + slope * (molecules.treatment + question.moved)
            return line[:, None] + self.spread[1] * answer
        answer = answer + self.over_tokens(states, molecules.tokens)[:, None]
        return molecules.additive[:, None] + self.spread[0] * answer

    def over_tokens(self, states: Tensor, tokens: Tensor) -> Tensor:
        """Read-out over the SMILES tokens, [n]; theirs are the last of the ``states``."""
        if self.read_out == "probe":
            return states.new_zeros(len(states))
        real = tokens > 0
        total = (self.share(states[:, -tokens.shape[1] :])[..., 0] * real).sum(1)
        return total / (self.length if self.read_out == "sum" else real.sum(1))
