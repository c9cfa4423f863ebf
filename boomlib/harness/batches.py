"""Batches of sequences: of similar length, so that little of a batch is padding."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

POOL = 8  # batches within which sequences are sorted by length


def epoch_batches(length: np.ndarray, batch: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Shuffled batches of sequences of similar length (sorted within pools of eight batches): less padding.

    Args:
        length: of each sequence, [n].
        batch: sequences a batch.
        rng: what shuffles.

    Returns:
        Positions in ``length``, each once.
    """
    order = rng.permutation(len(length))
    pools = [order[start : start + POOL * batch] for start in range(0, len(order), POOL * batch)]
    ordered = np.concatenate([pool[np.argsort(length[pool], kind="stable")] for pool in pools])
    batches = [ordered[start : start + batch] for start in range(0, len(ordered), batch)]
    return [batches[index] for index in rng.permutation(len(batches))]


def sorted_batches(length: np.ndarray, batch: int) -> list[np.ndarray]:
    """Batches for prediction: sequences by length, positions in ``length``, each once."""
    order = np.argsort(length, kind="stable")
    return [order[start : start + batch] for start in range(0, len(order), batch)]


def padded(sequences: Sequence[np.ndarray], padding: int = 0) -> Tensor:
    """Sequences as one int64 tensor [n, longest], ``padding`` behind each end."""
    tensors = [torch.as_tensor(each).long() for each in sequences]
    return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=padding)
