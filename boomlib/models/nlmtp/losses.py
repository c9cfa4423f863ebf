"""The recipe's losses, each a scalar, on one batch in the observed and in the policy world.

The policy's losses are those of targeted learning: with the pseudo-outcome φ = m(a+δ, x) + w(a, x)·(y - m(a, x)),
whose mean estimates ψ(δ) without bias if either m or w is right, the unit-level loss regresses the policy head on φ
(Kennedy 2023, 10.1214/23-EJS2157), and the scalar loss compares the means.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from boomlib.causal.density import classifier_loss, log_ratio_from_density, support
from boomlib.models.nlmtp.encoder import Tensors
from boomlib.models.nlmtp.network import Network, Reading

PLACE_TERMS = ("site_observed", "site_anchor", "site_support")
"""Terms of the policy with a place, which share one weight, ``site``; see :func:`place_loss`."""


@dataclass(frozen=True)
class Policy:
    """Where the policy applies in a batch, and how its observed outcomes are weighted. No gradient passes.

    Attributes:
        supported: bool [n], both supports s(x, a, δ) and s(x, a - δ, δ) reach the threshold.
        weight: clipped density ratio g(a - δ | x) / g(a | x), [n].
    """

    supported: Tensor
    weight: Tensor


@torch.no_grad()
def find_policy(
    network: Network, reading: Reading, molecules: Tensors, shift: float, threshold: float, clip: float
) -> Policy:
    """Support by the classifier, weights by the mixture density."""
    a = molecules.treatment
    ahead, here = network.classifier(reading.cls, a + shift), network.classifier(reading.cls, a)
    supported = (support(ahead) >= threshold) & (support(here) >= threshold)
    ratio = log_ratio_from_density(reading.density, a, shift).exp().clamp(max=clip)
    return Policy(supported, ratio)


def observed_loss(own: Reading, hidden: Reading, y: Tensor, spread: Sequence[float]) -> Tensor:
    """L_obs: squared error in the observed world, of the molecule's own outcome and of m(a, x).

    Each in units of what its linear path leaves (``spread``): else the former, which makes the model accurate, would
    be lost in the latter.
    """
    errors = (own.outcome[:, 0] - y, hidden.outcome[:, 0] - y)
    return sum((error / unit).square().mean() for error, unit in zip(errors, spread[:2], strict=True))


def policy_losses(
    hidden: Reading,
    moved: Tensor,
    policy: Policy,
    molecules: Tensors,
    *,
    pseudo_outcome: str,
    spread: float,
    environments: int,
) -> dict[str, Tensor]:
    """L_DR-func, L_DR-mean, L_rex and our anchor, over the molecules with support; 0 if none of the batch has any.

    Args:
        hidden: worlds 0 (observed), 1 (policy) and further shifts without SMILES.
        moved: the observed world's m(a + δ, x) for δ of the worlds from 1 on, [n, worlds - 1], without gradient.
        policy: support and weights.
        molecules: the batch.
        pseudo_outcome: ``observed``: around m(a + δ, x); ``policy``: around the policy head's own value.
        spread: unit of the errors, in z, of all but L_rex.
        environments: how many there are.
    """
    kept = policy.supported
    m_observed, m_policy = hidden.outcome[:, 0], hidden.outcome[:, 1]
    around = moved[:, 0] if pseudo_outcome == "observed" else m_policy.detach()
    # first of all, as 0 times the slope of an infinite error would be no number
    error = torch.where(kept, m_policy - around - policy.weight * (molecules.outcome - m_observed.detach()), 0)
    gap = torch.where(kept[:, None], hidden.outcome[:, 1:] - moved, 0)
    return {
        "dr_func": mean_where(kept, (error / spread).square()),
        "dr_mean": (mean_where(kept, error) / spread).square(),
        # in z: a variance of squares of few molecules has tails that would drown every other term
        "rex": variance_over_groups(error.square(), molecules.environment, kept, environments),
        "anchor": mean_where(kept, (gap / spread).square().mean(1)),
    }


def mean_where(kept: Tensor, values: Tensor) -> Tensor:
    """Mean of the ``values``, [n], where ``kept``, bool [n], is True; 0 where it never is.

    Nothing is picked, since a GPU would have to be waited for how many there are.
    """
    return torch.where(kept, values, 0).sum() / kept.sum().clamp(min=1)


def variance_over_groups(loss: Tensor, group: Tensor, kept: Tensor, groups: int) -> Tensor:
    """L_rex: variance over groups of their mean loss (Krueger et al. 2021, arXiv 2003.00688).

    Args:
        loss: of each molecule, [n].
        group: int64 [n].
        kept: bool [n], which molecules count.
        groups: how many groups there are; those without molecules do not count.
    """
    total = loss.new_zeros(groups).index_add(0, group, torch.where(kept, loss, 0))
    count = loss.new_zeros(groups).index_add(0, group, kept.to(loss.dtype))
    there, mean = count > 0, total / count.clamp(min=1)
    return mean_where(there, (mean - mean_where(there, mean)).square())


def density_loss(reading: Reading, a: Tensor) -> Tensor:
    """L_mdn: negative log likelihood of the treatment given the context."""
    return -reading.density.log_prob(a).mean()


def support_loss(network: Network, cls: Tensor, a: Tensor, shift: float) -> Tensor:
    """Cross-entropy of telling natural (x, a) from shifted (x, a + δ): the gate's own loss."""
    return classifier_loss(network.classifier(cls, a), network.classifier(cls, a + shift))


def fast_weight_loss(network: Network, alpha: Tensor) -> Tensor:
    """L_lor: squared amplitude in the policy world, [n, fast layers], and the norms of the low-rank factors."""
    norms = [layer.fast.norms() for layer in network.backbone.layers if layer.fast is not None]
    return alpha.square().mean() + torch.stack(norms).mean() if norms else alpha.sum()


def pair_loss(reading: Reading, world: int, target: Tensor, known: Tensor) -> Tensor:
    """L_mmp: squared error of the descriptors' change under do: W += |ΔMW| where a molecule has a matched pair.

    Args:
        reading: worlds with SMILES.
        world: the one whose δ is the pair's difference of mass.
        target: change of the descriptors, [n, columns].
        known: bool [n], which molecules have a pair.
    """
    error = (reading.pair[:, world] - target).square().mean(1)
    return (error * known).sum() / known.sum().clamp(min=1)


def place_loss(
    network: Network, grouped: Reading, moved: Reading, molecules: Tensors, made: Tensors, placed: Tensor
) -> dict[str, Tensor]:
    """The terms of the policy with a place: m(a, x, G), its anchor, and the gate's cross-entropy.

    Args:
        network: whose they are.
        grouped: worlds 0 (observed) and 1 (an insertion at a place), with groups.
        moved: the observed world of what the insertion makes, without gradient.
        molecules: the batch.
        made: what the insertions make.
        placed: bool [n], which molecules have an insertion, all of whose groups train has.
    """
    unit = network.spread[2]
    gap = (grouped.outcome[:, 1] - moved.outcome[:, 0]) / unit
    natural, shifted = network.ratio_of_groups(molecules, grouped.cls), network.ratio_of_groups(made, moved.cls)
    # natural points are all molecules, those that an insertion makes a part of as many: the ratio of their densities
    made_known = torch.where(placed, functional.softplus(-shifted), 0).mean()
    entropy = functional.softplus(natural).mean() + made_known
    error = (grouped.outcome[:, 0] - molecules.outcome) / unit
    terms = (error.square().mean(), mean_where(placed, gap.square()), 0.5 * entropy)
    return dict(zip(PLACE_TERMS, terms, strict=True))


def weighted_sum(terms: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """The loss: Σ weight · term."""
    return sum(weights[name] * term for name, term in terms.items())
