"""The sequence ``[ENV] [CONTEXT] [CLS] [A] [SMILES …] <time0> | [do] [probe]`` and the heads that read it.

What may see what, up to ``<time0>``: {ENV, CONTEXT, CLS} see each other alone, so that the propensity read from CLS is
blind to the treatment and to the SMILES, which fixes it; {A, SMILES} see all of these and each other; ``<time0>``
sees everything. Without the SMILES the probe answers "what is E[Y | a, x]?", with it "what is this molecule's
outcome?". With places a third question has ``[GROUPS]`` where the SMILES would stand: "what is E[Y | a, x, G]?"; and
its ``[do]`` also reads the place, by what an insertion changes of the groups.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from boomlib.causal.density import Mixture, MixtureDensity, ShiftClassifier
from boomlib.harness.ragged import send
from boomlib.models.nlmtp.backbone import Backbone
from boomlib.models.nlmtp.encoder import PAIR_DESCRIPTORS, Tensors
from boomlib.models.nlmtp.places import Insertions

# the sequence in memory; <time0>'s position is behind the SMILES
BEFORE = ("environment", "context", "cls")
OWN = ("treatment", "time0")  # of each question, and then its SMILES
PRE, NATURAL, TIME0 = 0, 1, 2  # a token sees those of its own group and of those before
GROUPS = 10.0  # about so many a molecule has: the scale of their sum
EVERYBODY = -1  # whose the tokens before the treatment are


@dataclass(frozen=True)
class Question:
    """What is asked of n molecules.

    Attributes:
        shift: standardised δ of each world, [n, worlds]; 0 is the observed world.
        hidden: hide the SMILES: the outcome is then m(a, x), else the molecule's own.
        moved: what is added to the treatment that was observed, a number or [n].
        grouped: show the groups in place of the SMILES, which is then hidden.
        place: where the shift is inserted in the worlds that have one, of a question that is grouped.
    """

    shift: Tensor
    hidden: bool
    moved: float | Tensor = 0.0
    grouped: bool = False
    place: Insertions | None = None


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
        spread: deviation, in z, of what the linear paths leave to the network, of a molecule's own outcome, of
            m(a, x) and, with places, of m(a, x, G): the units of its answers.
        read_out: how the molecule's own outcome leaves the tokens: ``sum``, ``mean``, or ``probe`` alone.
        components: Gaussians of the propensity.
        width: features of a token.
        groups: size of the groups' vocabulary; 0: the policy has no place.
        within: whether the line of m(a, x) is all that the observed world says of the treatment: what is learned of
            the level is read from CLS, which is blind to the treatment. A shift moves along the line, and a head of
            its own adds to that what the probe says.
        backbone: further arguments of :class:`Backbone`.
    """

    def __init__(
        self,
        *,
        tokens: int,
        covariates: int,
        environments: int,
        length: float,
        spread: Sequence[float],
        read_out: str,
        components: int,
        width: int,
        groups: int = 0,
        within: bool = False,
        **backbone,
    ) -> None:
        super().__init__()
        self.length, self.spread, self.read_out, self.within = length, spread, read_out, within
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
        heads = [self.outcome, self.share, self.pair]
        if within:
            self.level, self.effect = nn.Linear(width, 1), nn.Linear(width, 1)
            heads += [self.level, self.effect]
        for head in heads:
            nn.init.zeros_(head.weight)  # start from the linear paths
            nn.init.zeros_(head.bias)
        if groups:
            self.group = nn.Embedding(groups, width, padding_idx=0)
            self.groups = nn.Sequential(nn.GELU(), nn.Linear(width, width))
            self.place = nn.Sequential(nn.Linear(width + 1, width), nn.GELU(), nn.Linear(width, width))
            self.group_classifier = ShiftClassifier(2 * width, width)

    def bag(self, group: Tensor, count: Tensor) -> Tensor:
        """Counted groups, [n, most] both, as a sum of what each is, [n, width]."""
        return (self.group(group) * count[..., None]).sum(1) / GROUPS

    def ratio_of_groups(self, molecules: Tensors, cls: Tensor) -> Tensor:
        """Logit ℓ(x, a, G) of inserted against natural molecules, [n]; no gradient passes to ``cls``."""
        groups = self.groups(self.bag(molecules.group, molecules.group_count))
        return self.group_classifier(torch.cat([cls.detach(), groups], dim=1), molecules.treatment)

    def do_at(self, question: Question) -> Tensor:
        """The ``[do]`` tokens of a question, [n, worlds, width]."""
        told = self.do(question.shift[..., None])
        if question.place is None:
            return told
        place = question.place
        changed = torch.cat([self.bag(place.group, place.change), place.line[:, None] / self.spread[2]], dim=1)
        return told + self.place(changed)[:, None] * (question.shift != 0)[..., None]

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
        told = torch.cat([self.do_at(each) for each in questions], 1)
        worlds = torch.stack([told, self.special["probe"].expand(*shift.shape, -1)], dim=2)
        asker = send(torch.arange(len(counts)).repeat_interleave(torch.tensor(counts)), shift.device)
        start = past.end[:, asker] + 1
        worlds, alpha = self.backbone.worlds(worlds, start, past.open_to(asker), cache, shift != 0)
        probe, cls = worlds[:, :, 1], states[:, BEFORE.index("cls")]
        said = [each.split(counts, dim=1) for each in (probe, alpha, self.pair(probe))]
        density, readings = self.density(cls), []
        for index, (question, answer, amplitude, pair) in enumerate(zip(questions, *said, strict=True)):
            outcome = self.to_outcome(molecules, question, answer, states[:, past.own[index]], cls)
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
            real, tokens = self.own_tokens(molecules, question)
            given = self.treatment((molecules.treatment + question.moved)[:, None])
            x += [given[:, None], self.special["time0"].expand(n, 1, -1), tokens]
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

    def own_tokens(self, molecules: Tensors, question: Question) -> tuple[Tensor, Tensor]:
        """What a question shows of the molecules: where there is a token, bool [n, T], and [n, T, width]."""
        if question.grouped:
            groups = self.groups(self.bag(molecules.group, molecules.group_count))[:, None]
            return groups.new_ones(len(molecules), 1, dtype=torch.bool), groups
        tokens = molecules.tokens[:, : 0 if question.hidden else None]
        return tokens > 0, self.token(tokens)

    def to_outcome(self, molecules: Tensors, question: Question, probe: Tensor, states: Tensor, cls: Tensor) -> Tensor:
        """The outcome z in each world, [n, worlds].

        Args:
            molecules: the molecules.
            question: what was asked.
            probe: its states, [n, worlds, width].
            states: of the question's own tokens, [n, T, width].
            cls: state of the pre-treatment CLS, [n, width].
        """
        answer = self.outcome(probe)[..., 0]
        if question.grouped:
            line = molecules.group_line[:, None]
            if question.place is not None:
                # the path knows the place, the fast weights learn what it leaves
                line = line + question.place.line[:, None] * (question.shift != 0)
            return line + self.spread[2] * answer
        if question.hidden:
            level, slope, curvature = (each[:, None] for each in molecules.line.unbind(1))
            treatment = (molecules.treatment + question.moved)[:, None]
            if self.within:
                # the path knows the shift; what is learned on top of it grows from nothing with the shift
                treatment = treatment + question.shift
                answer = self.level(cls) + self.effect(probe)[..., 0] * question.shift
            # else the line stays at the observed treatment: what a shift does is for the fast weights to learn
            return level + treatment * (slope + curvature * treatment) + self.spread[1] * answer
        answer = answer + self.over_tokens(states, molecules.tokens)[:, None]
        return molecules.additive[:, None] + self.spread[0] * answer

    def over_tokens(self, states: Tensor, tokens: Tensor) -> Tensor:
        """Read-out over the SMILES tokens, [n]; theirs are the last of the ``states``."""
        if self.read_out == "probe":
            return states.new_zeros(len(states))
        real = tokens > 0
        total = (self.share(states[:, -tokens.shape[1] :])[..., 0] * real).sum(1)
        return total / (self.length if self.read_out == "sum" else real.sum(1))


def is_of_policy(name: str) -> bool:
    """Whether a parameter is read by the policy world alone, and not by the observed one."""
    return name.startswith(("do.", "place.", "pair.", "effect.")) or ".fast." in name
