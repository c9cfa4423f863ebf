"""What several graph networks are made of."""

from abc import abstractmethod

import torch
from torch import Tensor, nn

from boomlib.models.graph.graphs import Batch, Graphs


class GaussianBasis(nn.Module):
    """exp(-(d - μ)² / 2σ²) at evenly spaced μ, σ their spacing (Schütt et al., SchNet, arXiv 1706.08566, eq. for e_k).

    Args:
        size: how many.
        reach: the last centre, Å; further out all fade to 0.
    """

    def __init__(self, size: int, reach: float) -> None:
        super().__init__()
        self.size, self.spacing = size, reach / (size - 1)
        self.register_buffer("centres", torch.linspace(0, reach, size), persistent=False)

    def forward(self, distance: Tensor) -> Tensor:
        """Distances, Å [pairs] -> [pairs, size]."""
        gaussian = torch.exp(-0.5 * ((distance[:, None] - self.centres) / self.spacing).square())
        # beyond any precision; left alone they become denormal numbers, with which a CPU is several times slower
        return nn.functional.threshold(gaussian, 1e-17, 0.0)


class GraphNetwork(nn.Module):
    """A network on batches of graphs; a subclass reads what stands side by side."""

    def forward(self, batch: Batch) -> Tensor:
        """Standardised residuals, [molecules]."""
        return torch.cat([self.read(part) for part in batch.parts])[batch.place]

    @abstractmethod
    def read(self, graphs: Graphs) -> Tensor:
        """Molecules -> standardised residuals, [molecules]."""


def read_out(atoms: Tensor, graphs: Graphs, kind: str) -> Tensor:
    """Contributions of atoms, [atoms, …] -> of molecules, [molecules, …]: extensive: their sum, intensive: mean."""
    total = atoms.new_zeros(len(graphs), *atoms.shape[1:]).index_add(0, graphs.molecule, atoms)
    return total if kind == "extensive" else total / graphs.size.view(-1, *[1] * (atoms.dim() - 1))
