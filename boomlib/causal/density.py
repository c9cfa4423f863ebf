"""The treatment's density ratio under a shift, in two forms that a network can be trained with.

With g(a | x) the density of the treatment A given the covariates X, shifting every treatment by δ gives it the density
g(a-δ | x). Both forms are about ℓ(x, a) = log g(a-δ | x) / g(a | x): a mixture density network (Bishop 1994,
NCRG/94/004) models g itself, a classifier of natural against shifted pairs has ℓ as its logit (Díaz et al. 2021,
10.1080/01621459.2021.1955691).
"""

from dataclasses import dataclass
from math import log, pi

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

MIN_LOG_SCALE = log(0.05)
"""Log of the narrowest component, in standard deviations of the treatment; without it the likelihood is unbounded."""


@dataclass(frozen=True)
class Mixture:
    """A mixture of K Gaussians for each of n rows; all fields are [n, K], the weights of a row sum to 1."""

    log_weight: Tensor
    mean: Tensor
    log_scale: Tensor

    def log_prob(self, a: Tensor) -> Tensor:
        """Log density at ``a``, [n] or [n, m] (m points a row); the same shape comes back."""
        points = a.reshape(len(a), a[0].numel() if len(a) else 1, 1)
        z = (points - self.mean[:, None]) * torch.exp(-self.log_scale)[:, None]
        log_height = self.log_weight - self.log_scale - 0.5 * log(2 * pi)
        return torch.logsumexp(log_height[:, None] - 0.5 * z**2, dim=-1).reshape(a.shape)


class MixtureDensity(nn.Module):
    """Mixture density network's head: features of x to the density of the standardised treatment given x.

    Args:
        features: width of the input.
        components: Gaussians K.
    """

    def __init__(self, features: int, components: int = 8) -> None:
        super().__init__()
        self.linear = nn.Linear(features, 3 * components)
        with torch.no_grad():
            weight, mean, scale = self.linear.bias.chunk(3)
            # components that start in one place would stay there together
            mean.copy_(torch.linspace(-1.5, 1.5, components))
            weight.zero_()
            scale.zero_()

    def forward(self, h: Tensor) -> Mixture:
        """The mixtures at ``h`` [n, features]."""
        weight, mean, scale = self.linear(h).chunk(3, dim=-1)
        # a soft floor: unlike a clamp it never cuts the gradient
        log_scale = MIN_LOG_SCALE + softplus(scale - MIN_LOG_SCALE)
        return Mixture(torch.log_softmax(weight, dim=-1), mean, log_scale)


class ShiftClassifier(nn.Module):
    """Classifier of shifted pairs (x, a+δ), label 1, against natural ones (x, a), label 0, smooth in a.

    Trained with :func:`classifier_loss` its logit at (x, a) tends to log g(a-δ | x) / g(a | x).

    Args:
        features: width of the features of x.
        hidden: width of the two hidden layers.
    """

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(features + 1, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, 1)
        )

    def forward(self, h: Tensor, a: Tensor) -> Tensor:
        """The logit ℓ(x, a), [n], at features ``h`` [n, features] and standardised treatment ``a`` [n]."""
        return self.layers(torch.cat((h, a[:, None]), dim=1))[:, 0]


def log_ratio_from_density(mixture: Mixture, a: Tensor, shift: float | Tensor) -> Tensor:
    """ℓ(x, a) = log g(a-δ | x) / g(a | x), [n], at treatment ``a`` [n] for the shift δ (a number or [n])."""
    shifted, natural = mixture.log_prob(torch.stack((a - shift, a), dim=1)).unbind(dim=1)
    return shifted - natural


def support(log_ratio_at_shifted: Tensor) -> Tensor:
    """Support score s(x, a, δ) = min(1, g(a+δ | x) / g(a | x)) in [0, 1], from ℓ(x, a+δ); the same shape.

    It is 1 where the shifted point is at least as natural as the point that it came from.
    s(x, a-δ, δ), the score of the step that leads to a, follows from ℓ(x, a) in the same way.
    """
    return torch.exp(-log_ratio_at_shifted.clamp(min=0))


def classifier_loss(logit_natural: Tensor, logit_shifted: Tensor) -> Tensor:
    """Mean cross-entropy of as many natural pairs (label 0) as shifted ones (label 1), a scalar; log 2 is chance.

    Args:
        logit_natural: ℓ(x, a), [n].
        logit_shifted: ℓ(x, a+δ) of the same rows, [n].
    """
    return 0.5 * (softplus(logit_natural).mean() + softplus(-logit_shifted).mean())
