"""How NL-MTP is trained: both worlds in each batch, AdamW, cosine with warm-up."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from boomlib.harness.training import Trainee
from boomlib.models.nlmtp import losses
from boomlib.models.nlmtp.encoder import LogMargin, Tensors
from boomlib.models.nlmtp.network import Network, Question

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
        pair_epochs: epochs in which matched pairs are used, with a weight that falls linearly to 0.
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
    ) -> None:
        super().__init__(network, optimise)
        self.scale, self.weights, self.pair_epochs = scale, dict(weights), pair_epochs
        self.shift, self.threshold, self.clip, self.pseudo_outcome = shift, threshold, clip, pseudo_outcome
        self.answers: list[tuple[Tensor, Tensor]] = []

    def training_step(self, batch: tuple[Tensors, Tensor, Tensor, Tensor]) -> Tensor:
        """Loss of one batch: molecules, δ of each one's pair, change of its descriptors, whether it has one."""
        molecules, pair_shift, pair_target, paired = batch
        terms, abstention = self.terms(molecules, pair_shift, pair_target, paired)
        fading = max(0.0, 1 - self.current_epoch / self.pair_epochs) if self.pair_epochs else 0.0
        loss = losses.weighted_sum(terms, self.weights | {"mmp": self.weights["mmp"] * fading})
        figures = terms | {"loss": loss, "abstention": abstention}
        self.log_dict(figures, on_step=False, on_epoch=True, batch_size=len(molecules))
        return loss

    def terms(
        self, molecules: Tensors, pair_shift: Tensor, pair_target: Tensor, paired: Tensor
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Every term of the loss, unweighted, and the share of molecules without support."""
        zero = torch.zeros_like(molecules.treatment)
        pairs = self.current_epoch < self.pair_epochs
        # the anchor holds at another shift too, drawn for each molecule, so that a sweep of shifts means something
        drawn = self.shift * torch.empty_like(zero).uniform_(-ANCHORED, ANCHORED)
        shifts = (zero + self.shift, drawn)
        asked = Question(torch.stack([zero, pair_shift] if pairs else [zero], dim=1), hidden=False)
        own, hidden = self.network.answer(molecules, [asked, Question(torch.stack([zero, *shifts], 1), hidden=True)])
        with torch.no_grad():
            there = self.network.answer(molecules, [Question(zero[:, None], True, each) for each in shifts])
            moved = torch.cat([reading.outcome for reading in there], dim=1)
        policy = losses.find_policy(self.network, hidden, molecules, self.shift, self.threshold, self.clip)
        terms = {
            "observed": losses.observed_loss(own, hidden, molecules.outcome, self.network.spread),
            "mdn": losses.density_loss(hidden, molecules.treatment),
            "support": losses.support_loss(self.network, hidden.cls, molecules.treatment, self.shift),
            "lor": losses.fast_weight_loss(self.network, hidden.alpha[:, 1]),
            "mmp": losses.pair_loss(own, 1, pair_target, paired) if pairs else zero.mean(),
            **losses.policy_losses(
                hidden,
                moved,
                policy,
                molecules,
                pseudo_outcome=self.pseudo_outcome,
                spread=self.network.spread[1],
                environments=self.network.environment.num_embeddings,
            ),
        }
        return terms, 1 - policy.supported.float().mean()

    def validation_step(self, molecules: Tensors) -> None:
        """Answers about one batch of valid."""
        z = self.network(molecules, torch.zeros_like(molecules.treatment)[:, None], hidden=False).outcome[:, 0]
        self.answers.append((z, molecules.outcome))

    def on_validation_epoch_end(self) -> None:
        """RMSE on valid, native units."""
        answer, truth = (torch.cat(each).double().cpu().numpy() for each in zip(*self.answers, strict=True))
        error = self.scale.inverse(answer) - self.scale.inverse(truth)
        self.log("valid_rmse", float(np.sqrt(np.mean(error**2))))
        self.answers.clear()
