"""What all networks on our graphs share; a model adds its network."""

from abc import abstractmethod
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn

from boomlib.files import read_json, write_json
from boomlib.harness.interface import Molecules
from boomlib.harness.network import NetworkModel
from boomlib.models.graph.graphs import Batch, GraphStore, find_elements
from boomlib.models.graph.layers import GraphNetwork

Conformers = Literal["conformers", "embedded"]


class GraphModel(NetworkModel):
    """A network on graphs; see :class:`boomlib.harness.network.NetworkModel`.

    Args:
        with_positions: whether the network sees positions; its pairs of atoms are then all instead of the bonds.
        conformers: the feature whose positions these are.
    """

    def __init__(self, *, with_positions: bool, conformers: Conformers = "conformers", **common) -> None:
        super().__init__(**common)
        self.conformers = conformers if with_positions else None

    @abstractmethod
    def make_network(self, atom_features: int) -> GraphNetwork:
        """An untrained network; ``atom_features`` is the width of ``x``."""

    def start(self, train: Molecules) -> nn.Module:
        """Learn which elements occur."""
        self.elements = find_elements(train)
        torch.manual_seed(self.seed)
        return self.make_network(len(self.elements) + 1)

    def encode(self, molecules: Molecules) -> GraphStore:
        """Graphs of the molecules."""
        return GraphStore.read(molecules, self.elements, self.conformers)

    def collate(self, store: GraphStore, rows: np.ndarray) -> Batch:
        """Graphs side by side; in one part where a network is compiled, which it would be for each number of parts."""
        return store.take_whole(rows) if self.training.get("compile") else store.take_in_parts(rows)

    def save_start(self, folder: Path) -> None:
        """Write the elements."""
        write_json(folder / "elements.json", {"elements": self.elements.tolist()})

    def load_start(self, folder: Path) -> nn.Module:
        """Read the elements."""
        self.elements = np.array(read_json(folder / "elements.json")["elements"], dtype=np.uint8)
        return self.make_network(len(self.elements) + 1)
