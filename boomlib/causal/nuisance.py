"""Density ratio of a shift for tabular covariates, by a mixture density network or by a classifier."""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from boomlib.causal.density import MixtureDensity, ShiftClassifier, classifier_loss, log_ratio_from_density
from boomlib.files import ContractError

LEARNING_RATE = 0.01
BATCH = 256
HELD_OUT = 0.2
"""Share of the rows that chooses the epoch."""
MIN_ROWS = 20


@dataclass(frozen=True)
class FittedDensity:
    """Mixture density network of A given X; see :func:`fit_density`."""

    scaler: StandardScaler
    network: nn.Module

    def log_ratio(self, x: np.ndarray, a: np.ndarray, shift: float) -> np.ndarray:
        """ℓ(x, a) = log g(a-δ | x)/g(a | x), float64 [n], for x [n, p], a [n] and any δ, in the unit of a."""
        h, z = standardised(self.scaler, x, a)
        with torch.no_grad():
            return log_ratio_from_density(self.network(h), z, shift / self.scaler.scale_[-1]).double().numpy()


@dataclass(frozen=True)
class FittedClassifier:
    """Classifier of shifted against natural pairs; see :func:`fit_classifier`."""

    scaler: StandardScaler
    network: nn.Module
    shift: float

    def log_ratio(self, x: np.ndarray, a: np.ndarray, shift: float) -> np.ndarray:
        """ℓ(x, a), float64 [n]; raises :class:`ContractError` for another shift than the one trained for."""
        if shift != self.shift:
            raise ContractError(f"the classifier was trained for a shift of {self.shift}, not {shift}; fit another")
        with torch.no_grad():
            return self.network(*standardised(self.scaler, x, a)).double().numpy()


def fit_scaler(x: np.ndarray, a: np.ndarray) -> StandardScaler:
    """Mean and standard deviation of the columns of [x, a]; raises :class:`ContractError` for unusable arrays."""
    if np.ndim(x) != 2 or np.shape(a) != (len(x),) or len(x) < MIN_ROWS:
        raise ContractError(
            f"covariates [n, p] and treatment [n] with n ≥ {MIN_ROWS} are needed, not {np.shape(x)} and {np.shape(a)}"
        )
    xa = np.column_stack((x, a))
    bad = np.flatnonzero(~np.isfinite(xa).all(axis=1))
    if len(bad):
        raise ContractError(f"covariates or treatment are not finite in {len(bad)} rows, first in row {bad[0]}")
    return StandardScaler().fit(xa)


def standardised(scaler: StandardScaler, x: np.ndarray, a: np.ndarray) -> tuple[Tensor, Tensor]:
    """Covariates [n, p] and treatment [n] on the scaler's scale, float32."""
    z = torch.as_tensor(scaler.transform(np.column_stack((x, a))), dtype=torch.float32)
    return z[:, :-1], z[:, -1]


def train(network: nn.Module, loss: Callable[[Tensor], Tensor], n: int, weight_decay: float, epochs: int) -> None:
    """Minimise ``loss(rows)`` over n rows; the network ends as it was where the held-out rows' loss was lowest."""
    held_out, rows = torch.randperm(n).tensor_split([round(HELD_OUT * n)])
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=weight_decay, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    best, state = np.inf, network.state_dict()
    for _ in range(epochs):
        for step in rows[torch.randperm(len(rows))].split(BATCH):
            optimizer.zero_grad()
            loss(step).backward()
            optimizer.step()
        schedule.step()
        with torch.no_grad():
            reached = float(loss(held_out))
        if reached < best:
            best, state = reached, copy.deepcopy(network.state_dict())
    network.load_state_dict(state)


def fit_density(
    x: np.ndarray,
    a: np.ndarray,
    *,
    components: int = 8,
    hidden: int = 32,
    weight_decay: float = 0.8,
    epochs: int = 60,
    seed: int = 0,
) -> FittedDensity:
    """Fit g(a | x) by a mixture density network, a perceptron of two layers under :class:`MixtureDensity`.

    Args:
        x: covariates, [n, p].
        a: treatment, [n].
        components: Gaussians of the mixture.
        hidden: width of the two hidden layers.
        weight_decay: AdamW's; far more than a prediction needs, since exp(ℓ) magnifies the errors of ℓ.
        epochs: passes over the rows; the one that is likeliest on held-out rows counts.
        seed: seed of weights, held-out rows and batches; torch's global generator is left as it was.

    Raises:
        ContractError: shapes that do not match, too few rows or values that are not finite.
    """
    scaler = fit_scaler(x, a)
    h, z = standardised(scaler, x, a)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = nn.Sequential(
            nn.Linear(h.shape[1], hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            MixtureDensity(hidden, components),
        )
        train(network, lambda rows: -network(h[rows]).log_prob(z[rows]).mean(), len(z), weight_decay, epochs)
    return FittedDensity(scaler, network)


def fit_classifier(
    x: np.ndarray,
    a: np.ndarray,
    shift: float,
    *,
    hidden: int = 32,
    weight_decay: float = 0.02,
    epochs: int = 60,
    seed: int = 0,
) -> FittedClassifier:
    """Fit ℓ(x, a) for one shift δ by a classifier of (x, a+δ) against (x, a); arguments as in :func:`fit_density`."""
    scaler = fit_scaler(x, a)
    h, z = standardised(scaler, x, a)
    step = shift / scaler.scale_[-1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = ShiftClassifier(h.shape[1], hidden)

        def loss(rows: Tensor) -> Tensor:
            return classifier_loss(network(h[rows], z[rows]), network(h[rows], z[rows] + step))

        train(network, loss, len(z), weight_decay, epochs)
    return FittedClassifier(scaler, network, shift)
