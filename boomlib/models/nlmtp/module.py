"""How NL-MTP is trained: both worlds in each batch, AdamW, cosine with warm-up."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from boomlib.harness.ragged import send
from boomlib.harness.training import Trainee
from boomlib.models.nlmtp import losses
from boomlib.models.nlmtp.encoder import LogMargin, Tensors
from boomlib.models.nlmtp.network import Network, Question, Reading
from boomlib.models.nlmtp.places import Insertions

ANCHORED = 2.0  # the anchor holds up to this many times the policy's shift, either way


class Pairs:
    """Matched pairs within train: for each molecule, those that are heavier by a small edit.

    Args:
        left: positions of the lighter molecules, [pairs], ascending.
        right: positions of the heavier ones.
        shift: difference of mass, standardised, [pairs].
        n: molecules of train.
    """

    def __init__(self, left: np.ndarray, right: np.ndarray, shift: np.ndarray, n: int) -> None:
        self.right, self.shift = right, shift
        self.first, self.count = np.searchsorted(left, np.arange(n)), np.bincount(left, minlength=n)

    def draw(self, rows: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """One pair of each molecule: position of the heavier one (-1 without a pair) and δ (0 without), [n] each."""
        chosen = self.first[rows] + (rng.random(len(rows)) * self.count[rows]).astype(int)
        known = self.count[rows] > 0
        chosen = np.where(known, chosen, 0)
        if not len(self.right):
            return np.full(len(rows), -1), np.zeros(len(rows))
        return np.where(known, self.right[chosen], -1), np.where(known, self.shift[chosen], 0.0)


@dataclass(frozen=True)
class Batch:
    """Molecules and what is drawn for each of them.

    Attributes:
        molecules: n of them.
        pair_shift: δ of each one's matched pair, [n].
        pair_target: change of its descriptors, [n, columns].
        paired: whether it has one, bool [n].
        place: an insertion into each; None without places.
        placed: whether there is one, all of whose groups train has, bool [n].
    """

    molecules: Tensors
    pair_shift: Tensor
    pair_target: Tensor
    paired: Tensor
    place: Insertions | None = None
    placed: Tensor | None = None

    def to(self, device: torch.device) -> "Batch":
        """The same on another device."""
        values = (getattr(self, field.name) for field in fields(self))
        return Batch(
            *(send(each, device) if isinstance(each, Tensor) else each and each.to(device) for each in values)
        )


def make_batch(
    tensors: Tensors,
    places: Insertions | None,
    rows: np.ndarray,
    right: np.ndarray,
    shift: np.ndarray,
    chosen: np.ndarray | None = None,
) -> Batch:
    """A batch for :meth:`Module.training_step`.

    Args:
        tensors: molecules of train.
        places: insertions into them, if the policy has places.
        rows: those of the batch.
        right: the heavier molecule of each one's pair, -1 where it has none.
        shift: δ of the pair.
        chosen: an insertion into each, -1 where there is none.
    """
    target = tensors.descriptors[right] - tensors.descriptors[rows]
    paired = torch.as_tensor(right >= 0)
    molecules, shifts = tensors.take(torch.as_tensor(rows)), torch.as_tensor(shift, dtype=torch.float32)
    if places is None or chosen is None or not len(places):
        return Batch(molecules, shifts, target, paired)
    place = places.take(torch.as_tensor(chosen))
    return Batch(molecules, shifts, target, paired, place, torch.as_tensor(chosen >= 0) & place.known)


class Module(Trainee):
    """Trains a :class:`Network`.

    Args:
        network: what is trained.
        optimise: see :class:`boomlib.harness.training.Trainee`.
        scale: the outcome's scale, for RMSE on valid in native units.
        weights: weight of each term of the loss.
        shift: standardised δ of the policy.
        threshold: smallest support.
        clip: largest importance weight.
        pseudo_outcome: see :func:`losses.policy_losses`.
        pair_epochs: epochs of the policy in which matched pairs are used, with a weight that falls linearly to 0.
        phase: ``both`` worlds in each batch, as the recipe has it; ``observed``: what concerns that world alone;
            ``policy``: what the policy world alone reads learns, and the observed world stays as it is.
    """

    def __init__(
        self,
        network: Network,
        optimise: Callable[[torch.nn.Module], dict],
        scale: LogMargin,
        *,
        weights: Mapping[str, float],
        shift: float,
        threshold: float,
        clip: float,
        pseudo_outcome: str,
        pair_epochs: int,
        phase: str = "both",
    ) -> None:
        super().__init__(network, optimise)
        self.scale, self.weights, self.pair_epochs, self.phase = scale, dict(weights), pair_epochs, phase
        self.shift, self.threshold, self.clip, self.pseudo_outcome = shift, threshold, clip, pseudo_outcome
        self.answers: list[tuple[Tensor, Tensor]] = []
        self.gaps: list[Tensor] = []

    def training_step(self, batch: Batch) -> Tensor:
        """Loss of one batch."""
        terms, abstention = self.terms(batch)
        fading = max(0.0, 1 - self.current_epoch / self.pair_epochs) if self.pair_epochs else 0.0
        fixed = {"mmp": self.weights["mmp"] * fading, **dict.fromkeys(losses.PLACE_TERMS, self.weights["site"])}
        loss = losses.weighted_sum(terms, self.weights | fixed)
        figures = terms | {"loss": loss, "abstention": abstention}
        self.log_dict(figures, on_step=False, on_epoch=True, batch_size=len(batch.molecules))
        return loss

    def terms(self, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
        """Every term of the loss, unweighted, 0 where the phase has none; and the share without support."""
        molecules = batch.molecules
        zero = torch.zeros_like(molecules.treatment)
        none, policy_too, observed_too = zero.mean(), self.phase != "observed", self.phase != "policy"
        pairs = policy_too and self.current_epoch < self.pair_epochs
        # the anchor holds at another shift too, drawn for each molecule, so that a sweep of shifts means something
        drawn = self.shift * torch.empty_like(zero).uniform_(-ANCHORED, ANCHORED)
        shifts = (zero + self.shift, drawn) if policy_too else ()
        asked = {
            "own": Question(torch.stack([zero, batch.pair_shift] if pairs else [zero], dim=1), hidden=False),
            "hidden": Question(torch.stack([zero, *shifts], 1), hidden=True),
        }
        if batch.place is not None:
            worlds = torch.stack([zero, zero + self.shift], 1)
            asked["grouped"] = Question(worlds, hidden=True, grouped=True, place=batch.place)
        if not observed_too and not pairs:
            del asked["own"]  # its world stays as it is
        answers = dict(zip(asked, self.network.answer(molecules, list(asked.values())), strict=True))
        hidden = answers["hidden"]
        policy = losses.find_policy(self.network, hidden, molecules, self.shift, self.threshold, self.clip)
        terms = dict.fromkeys(
            ("observed", "mdn", "support", "dr_func", "dr_mean", "rex", "anchor", "lor", "mmp"), none
        )
        if observed_too:
            terms |= {
                "observed": losses.observed_loss(answers["own"], hidden, molecules.outcome, self.network.spread),
                "mdn": losses.density_loss(hidden, molecules.treatment),
                "support": losses.support_loss(self.network, hidden.cls, molecules.treatment, self.shift),
            }
        if policy_too:
            terms |= {"lor": losses.fast_weight_loss(self.network, hidden.alpha[:, 1])}
            terms |= losses.policy_losses(
                hidden,
                self.moved(molecules, shifts),
                policy,
                molecules,
                pseudo_outcome=self.pseudo_outcome,
                spread=self.network.spread[1],
                environments=self.network.environment.num_embeddings,
            )
        if pairs:
            terms["mmp"] = losses.pair_loss(answers["own"], 1, batch.pair_target, batch.paired)
        if batch.place is not None:
            found = self.place_terms(batch, answers["grouped"])
            terms |= {name: found[name] if name in self.place_phase else none for name in losses.PLACE_TERMS}
        return terms, 1 - policy.supported.float().mean()

    @property
    def place_phase(self) -> Sequence[str]:
        """Terms of the policy with a place that the phase has."""
        observed, anchor, support = losses.PLACE_TERMS
        return {"both": losses.PLACE_TERMS, "observed": (observed, support), "policy": (anchor,)}[self.phase]

    @torch.no_grad()
    def moved(self, molecules: Tensors, shifts: Sequence[Tensor]) -> Tensor:
        """The observed world's m(a + δ, x) at each of the ``shifts``, [n, shifts]."""
        zero = torch.zeros_like(molecules.treatment)[:, None]
        there = self.network.answer(molecules, [Question(zero, True, each) for each in shifts])
        return torch.cat([reading.outcome for reading in there], dim=1)

    def place_terms(self, batch: Batch, grouped: Reading) -> dict[str, Tensor]:
        """Terms of the policy with a place, see :func:`losses.place_loss`."""
        made = batch.molecules.insert(batch.place, self.shift)
        with torch.no_grad():
            (there,) = self.network.answer(
                made, [Question(torch.zeros_like(grouped.outcome[:, :1]), True, grouped=True)]
            )
        return losses.place_loss(self.network, grouped, there, batch.molecules, made, batch.placed)

    def validation_step(self, molecules: Tensors) -> None:
        """Answers about one batch of valid and, where the policy is trained, its distance from the observed world."""
        zero = torch.zeros_like(molecules.treatment)
        z = self.network(molecules, zero[:, None], hidden=False).outcome[:, 0]
        self.answers.append((z, molecules.outcome))
        if self.phase == "policy":
            shift = zero + self.shift
            policy = self.network(molecules, shift[:, None], hidden=True).outcome[:, 0]
            self.gaps.append(policy - self.moved(molecules, [shift])[:, 0])

    def on_validation_epoch_end(self) -> None:
        """RMSE on valid, native units, and that of the gap where there is one, in units of the scale."""
        answer, truth = (torch.cat(each).double().cpu().numpy() for each in zip(*self.answers, strict=True))
        error = self.scale.inverse(answer) - self.scale.inverse(truth)
        self.log("valid_rmse", float(np.sqrt(np.mean(error**2))))
        if self.gaps:
            self.log("valid_gap", float(torch.cat(self.gaps).square().mean().sqrt()))
        self.answers.clear()
        self.gaps.clear()
