"""What all models on graphs share: labels, batches, training, prediction. A model adds its network."""

import functools
import math
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path

import joblib
import numpy as np
import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data
from torch_geometric.loader import DataLoader

from boomlib.harness.interface import Model, Molecules, Prediction, write_epochs
from boomlib.harness.references import References
from boomlib.harness.training import Regression, fit_module
from boomlib.models.graph.graphs import find_composition, find_elements, make_graphs


def squared_errors(network: nn.Module, graphs: Batch) -> Tensor:
    """Squared errors of a batch, in standard deviations, [graphs]."""
    # distances and sums over atoms do not bear bfloat16
    with torch.autocast(graphs.x.device.type, enabled=False):
        return (network(graphs) - graphs.y).square()


class GraphModel(Model):
    """A graph network on labels without what the composition explains.

    Args:
        geometry: whether the network sees positions; its edges are then all pairs of atoms instead of the bonds.
        reference: ``elements``, ``mean`` or ``none``, see :class:`boomlib.harness.references.References`.
        training: ``batch`` (molecules), ``epochs``, ``clip`` (largest norm of the gradient), ``learning_rate``,
            ``weight_decay`` and, if it may end early, ``patience`` (see :func:`boomlib.harness.training.fit_module`).
    """

    def __init__(self, *, geometry: bool, reference: str, training: dict, **common) -> None:
        super().__init__(**common)
        self.geometry, self.references = geometry, References(reference)
        self.training = dict(training)
        self.batch, self.epochs, self.clip = (self.training.pop(name) for name in ("batch", "epochs", "clip"))
        self.patience = self.training.pop("patience", None)

    @abstractmethod
    def make_network(self, atom_features: int) -> nn.Module:
        """An untrained network: batch of graphs -> float [graphs]; ``atom_features`` is the width of ``x``."""

    def seeded_network(self) -> nn.Module:
        """The network with the run's initial weights."""
        torch.manual_seed(self.seed)
        return self.make_network(len(self.elements) + 1)

    def graphs(self, molecules: Molecules) -> list[Data]:
        """The molecules as the network sees them."""
        return make_graphs(molecules, self.elements, self.geometry)

    def fit(self, train: Molecules, valid: Molecules, folder: Path) -> None:
        """Train; ``epochs.parquet`` gets each epoch's predictions of the molecules in :attr:`unlabelled`."""
        torch.set_num_threads(self.threads)
        self.elements = find_elements(train)
        graphs, valid_graphs = self.graphs(train), self.graphs(valid)
        self.references.fit(find_composition(graphs, self.kind), train.y)
        for part, y in ((graphs, train.y), (valid_graphs, valid.y)):
            residual = self.references.transform(find_composition(part, self.kind), y)
            for graph, z in zip(part, residual, strict=True):
                graph.y = torch.tensor([z], dtype=torch.float32)
        self.network = self.seeded_network()
        steps = self.epochs * math.ceil(len(train) / self.batch)
        errors = functools.partial(squared_errors, self.network)
        module = Regression(self.network, errors, spread=self.references.spread, steps=steps, **self.training)

        def batches(epoch: int) -> DataLoader:
            order = np.random.default_rng([self.seed, epoch]).permutation(len(graphs))
            return DataLoader([graphs[row] for row in order], self.batch)

        unlabelled = self.unlabelled or valid
        followed = self.graphs(unlabelled)
        history = fit_module(
            module,
            batches,
            lambda: DataLoader(valid_graphs, self.batch),
            folder,
            epochs=self.epochs,
            seed=self.seed,
            clip=self.clip,
            follow=lambda: self.outcome(followed),
            patience=self.patience,
        )
        write_epochs(folder, unlabelled.molecule_id, history)
        self.freeze()

    def freeze(self) -> None:
        """Ready the network for prediction, in double precision: what else is in a batch then changes nothing."""
        self.network.double().eval()

    @torch.no_grad()
    def outcome(self, graphs: Sequence[Data]) -> np.ndarray:
        """The property by the network as it is, native units, float64 [graphs]."""
        device = next(self.network.parameters()).device
        z = [self.network(batch.to(device)).double().cpu() for batch in DataLoader(graphs, self.batch)]
        return self.references.inverse(find_composition(graphs, self.kind), torch.cat(z).numpy())

    def predict(self, molecules: Molecules) -> Prediction:
        """Composition's part plus the network's."""
        return Prediction(self.outcome(self.graphs(molecules)))

    def save(self, folder: Path) -> None:
        """Write weights, and with joblib elements and references (a pickle: load only files of your own)."""
        torch.save(self.network.state_dict(), folder / "weights.pt")
        joblib.dump((self.elements, self.references), folder / "references.joblib")

    def load(self, folder: Path) -> None:
        """Read both."""
        self.elements, self.references = joblib.load(folder / "references.joblib")
        self.network = self.seeded_network()
        self.network.load_state_dict(torch.load(folder / "weights.pt", weights_only=True))
        self.freeze()
