"""Chemprop 2: a graph network whose messages pass along directed bonds (D-MPNN).

Heid et al., J. Chem. Inf. Model. 2024, 64, 9 (the program); Yang et al., J. Chem. Inf. Model. 2019, 59, 3370 (D-MPNN).
Featuriser, network and schedule are Chemprop's, training is ours.
"""

from pathlib import Path
from typing import Literal, NotRequired, TypedDict

import numpy as np
import torch
from chemprop.data import BatchMolGraph, MolGraph
from chemprop.featurizers import SimpleMoleculeMolGraphFeaturizer
from chemprop.models import MPNN
from chemprop.nn import BondMessagePassing, MeanAggregation, RegressionFFN, SumAggregation
from chemprop.schedulers import build_NoamLike_LRSched
from chemprop.utils import make_mol
from torch import Tensor, nn

from boomlib.harness.interface import Molecules
from boomlib.harness.network import NetworkModel

AGGREGATIONS = {"extensive": SumAggregation, "intensive": MeanAggregation}


class ChempropTraining(TypedDict):
    """Chemprop's schedule: Adam whose rate rises linearly from ``init_lr`` to ``max_lr``, then falls to ``final_lr``.

    ``warmup_epochs``: of the rise; the fall, exponential, ends with the last epoch. The others are those of
    :class:`boomlib.harness.network.Training`.
    """

    batch: int
    epochs: int
    molecules_seen: NotRequired[int]
    clip: float | None
    warmup_epochs: float
    init_lr: float
    max_lr: float
    final_lr: float


class MolGraphs(list[MolGraph]):
    """Chemprop's graphs, of which its own :class:`BatchMolGraph` makes a batch on the processor."""

    def to(self, device: torch.device) -> "MolGraphs":
        """Themselves."""
        return self


class Network(nn.Module):
    """Chemprop's network on its own batches of graphs, in the precision of its weights."""

    def __init__(self, mpnn: MPNN) -> None:
        super().__init__()
        self.mpnn = mpnn

    def forward(self, graphs: BatchMolGraph) -> Tensor:
        """Standardised residuals, [graphs]."""
        dtype = next(self.parameters()).dtype
        graphs.V, graphs.E = graphs.V.to(dtype), graphs.E.to(dtype)
        return self.mpnn(graphs)[:, 0]


class Chemprop(NetworkModel):
    """D-MPNN on bonds, hydrogens as a property of their atom; a sum over atoms, a mean for an intensive property.

    Args:
        message_hidden_dim: features of a message.
        depth: steps of message passing.
        ffn_hidden_dim: width of the hidden layers that read out a molecule.
        ffn_num_layers: how many.
        activation: of both, by its name in Chemprop.
        dropout: of both.
        training: see :class:`ChempropTraining`.
        reference: see :class:`boomlib.harness.references.References`; ``mean`` is what Chemprop's own scaler does.
    """

    def __init__(
        self,
        *,
        message_hidden_dim: int,
        depth: int,
        ffn_hidden_dim: int,
        ffn_num_layers: int,
        activation: Literal["relu", "leakyrelu", "prelu", "tanh", "elu"],
        dropout: float,
        training: ChempropTraining,
        **common,
    ) -> None:
        super().__init__(training=training, **common)
        shared = {"dropout": dropout, "activation": activation}
        self.message_passing = {"d_h": message_hidden_dim, "depth": depth} | shared
        self.read_out = {"hidden_dim": ffn_hidden_dim, "n_layers": ffn_num_layers} | shared
        self.featurizer = SimpleMoleculeMolGraphFeaturizer()

    def start(self, train: Molecules) -> nn.Module:
        """Learn nothing: an element that Chemprop does not list is "other" to it."""
        torch.manual_seed(self.seed)
        return self.make_network()

    def make_network(self) -> nn.Module:
        """An untrained network."""
        messages = BondMessagePassing(*self.featurizer.shape, **self.message_passing)
        predictor = RegressionFFN(input_dim=messages.output_dim, **self.read_out)
        return Network(MPNN(messages, AGGREGATIONS[self.kind](), predictor))

    def encode(self, molecules: Molecules) -> "MolGraphs":
        """Chemprop's graphs."""
        return MolGraphs([self.featurizer(make_mol(text)) for text in molecules.smiles])

    def collate(self, store: "MolGraphs", rows: np.ndarray) -> BatchMolGraph:
        """Graphs side by side."""
        return BatchMolGraph([store[row] for row in rows])

    def optimise(self, network: nn.Module, steps: int) -> dict:
        """Adam with Chemprop's schedule, by step."""
        given = self.training
        optimizer = torch.optim.Adam(network.parameters(), given["init_lr"], fused=True)
        rise = round(given["warmup_epochs"] * steps)
        rates = given["init_lr"], given["max_lr"], given["final_lr"]
        schedule = build_NoamLike_LRSched(optimizer, rise, given["epochs"] * steps - rise, *rates)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def save_start(self, folder: Path) -> None:
        """Nothing was learnt."""

    def load_start(self, folder: Path) -> nn.Module:
        """An untrained network."""
        return self.make_network()
