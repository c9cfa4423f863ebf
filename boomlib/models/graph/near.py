"""Molecules whose batches have the pairs of atoms within a cutoff alone."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch

from boomlib.harness.ragged import Ragged
from boomlib.models.graph.graphs import Graphs, GraphStore

AT_ONCE = 1024  # molecules


@dataclass(frozen=True)
class NearStore(GraphStore):
    """Molecules with positions, of whose pairs a batch has the near ones, and no bonds.

    They are found when the store is made: a GPU would have to be waited for to learn how many a batch has.

    Attributes:
        near: which of a molecule's pairs are within the cutoff, counted as in :func:`pair_all`, int32 [pairs].
    """

    near: Ragged

    @classmethod
    def within(cls, store: GraphStore, cutoff: float) -> "NearStore":
        """The molecules of a store with positions, on the processor; cutoff in Å."""
        found, count = [torch.empty(0, dtype=torch.int32)], np.zeros(len(store), dtype=np.int64)
        for start in range(0, len(store), AT_ONCE):
            graphs = store.take(np.arange(start, min(start + AT_ONCE, len(store))))
            lesser, greater = graphs.pairs
            distance = torch.linalg.vector_norm(graphs.pos[greater] - graphs.pos[lesser], dim=-1)
            place = torch.nonzero(distance < cutoff)[:, 0]
            molecule = graphs.molecule[lesser[place]]
            found.append((place - count_before(graphs)[molecule]).int())
            count[start : start + len(graphs)] = torch.bincount(molecule, minlength=len(graphs)).numpy()
        return cls(**vars(store), near=Ragged.of(torch.cat(found), count))

    def take(self, rows: np.ndarray) -> Graphs:
        """A batch of the molecules at these positions."""
        graphs = super().take(rows)
        index, count = self.near.find(rows)
        before = torch.repeat_interleave(count_before(graphs), count, output_size=len(index))
        nothing = index.new_empty(0)
        pairs = graphs.pairs[:, before + self.near.values[index]]
        return dataclasses.replace(graphs, pairs=pairs, bonded=nothing, order=nothing)

    def to(self, device: torch.device) -> "NearStore":
        """The same on another device."""
        return NearStore(**vars(super().to(device)), near=self.near.to(device))


def count_before(graphs: Graphs) -> torch.Tensor:
    """How many of all pairs of a batch belong to the molecules before each, int64 [molecules]."""
    pairs = graphs.size * (graphs.size - 1) // 2
    return pairs.cumsum(0) - pairs
