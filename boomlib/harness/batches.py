"""Which molecules make a batch, and batches that are made when they are asked for."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

POOL = 8  # batches within which sequences are sorted by length


class Batches:
    """Batches of an epoch, each made when its turn comes.

    Args:
        rows: positions of the molecules of each batch.
        make: makes a batch of these.
    """

    def __init__(self, rows: Sequence[np.ndarray], make: Callable[[np.ndarray], object]) -> None:
        self.rows, self.make = rows, make

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator:
        return map(self.make, self.rows)


def cut_into_batches(order: np.ndarray, batch: int) -> list[np.ndarray]:
    """Positions in batches, in their order."""
    return [order[start : start + batch] for start in range(0, len(order), batch)]


def draw_batches(length: np.ndarray, batch: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Shuffled batches of sequences of similar length (sorted within pools of eight batches): less padding.

    Args:
        length: of each sequence, [n].
        batch: sequences a batch.
        rng: what shuffles.

    Returns:
        Positions in ``length``, each once.
    """
    order = rng.permutation(len(length))
    ordered = [pool[np.argsort(length[pool], kind="stable")] for pool in cut_into_batches(order, POOL * batch)]
    batches = cut_into_batches(np.concatenate(ordered), batch)
    return [batches[index] for index in rng.permutation(len(batches))]


def sort_into_batches(length: np.ndarray, batch: int) -> list[np.ndarray]:
    """Batches for prediction: sequences by length, positions in ``length``, each once."""
    return cut_into_batches(np.argsort(length, kind="stable"), batch)


def pad(sequences: Sequence[np.ndarray], padding: int = 0) -> Tensor:
    """Sequences as one int64 tensor [n, longest], ``padding`` behind each end."""
    tensors = [torch.as_tensor(each).long() for each in sequences]
    return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=padding)
