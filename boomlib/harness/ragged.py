"""Lists of different lengths in one tensor, of which batches are made by index: no Python for each molecule."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor


def count_up(start: Tensor, length: Tensor, total: int) -> Tensor:
    """The numbers from each start on, as many as its length says, one range behind the other.

    Args:
        start: int64 [n].
        length: int64 [n].
        total: sum of the lengths, which a GPU would have to be waited for.

    Returns:
        int64 [total].
    """
    before = length.cumsum(0) - length
    shift = torch.repeat_interleave(start - before, length, output_size=total)
    return shift + torch.arange(total, device=start.device)


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor in the processor's memory on another device, without waiting for what that still does.

    It may change at once: memory that is not pinned is copied before this returns.
    """
    return tensor.to(device, non_blocking=device.type != "cpu")


@dataclass(frozen=True)
class Ragged:
    """Lists behind each other.

    Attributes:
        values: all entries, [total, …].
        start: where each list begins, int64 [n].
        count: entries of each list, int64 [n].
        length: the same in the processor's memory, where batches are planned.
    """

    values: Tensor
    start: Tensor
    count: Tensor
    length: np.ndarray

    @classmethod
    def of(cls, values: Tensor, length: np.ndarray) -> "Ragged":
        """Lists of these lengths."""
        length = np.asarray(length, dtype=np.int64)
        return cls(values, torch.from_numpy(np.cumsum(length) - length), torch.from_numpy(length), length)

    @classmethod
    def from_column(cls, table: pa.Table, name: str, width: int = 1) -> "Ragged":
        """A column of lists, of which ``width`` entries are a row of :attr:`values`, [total, width] if it is > 1."""
        lists = table[name].combine_chunks()
        values = torch.from_numpy(lists.flatten().to_numpy().copy())
        length = lists.value_lengths().to_numpy(zero_copy_only=False)
        return cls.of(values if width == 1 else values.view(-1, width), length // width)

    def __len__(self) -> int:
        return len(self.length)

    def find(self, rows: np.ndarray) -> tuple[Tensor, Tensor]:
        """Where the entries of some lists stand in :attr:`values`, int64 [total], and their lengths, int64 [rows]."""
        chosen = send(torch.as_tensor(rows), self.start.device)
        count = self.count[chosen]
        return count_up(self.start[chosen], count, int(self.length[rows].sum())), count

    def pad(self, rows: np.ndarray, padding: int) -> Tensor:
        """Some lists below each other, [rows, longest], ``padding`` behind each end."""
        chosen = send(torch.as_tensor(rows), self.start.device)
        place = torch.arange(int(self.length[rows].max()), device=chosen.device)
        inside = place < self.count[chosen, None]
        # no entries are picked by a mask, whose number a GPU would have to be waited for
        return torch.where(inside, self.values[torch.where(inside, self.start[chosen, None] + place, 0)], padding)

    def to(self, device: torch.device) -> "Ragged":
        """The same on another device."""
        return Ragged(self.values.to(device), self.start.to(device), self.count.to(device), self.length)
