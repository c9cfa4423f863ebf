"""What a network reads of many molecules, and where it lies while the network trains."""

from typing import Protocol, Self, TypeVar

import torch

from boomlib.harness.training import choose_device


class Store(Protocol):
    """What a network reads of molecules, of which a batch is made by their positions."""

    def __len__(self) -> int:
        """Molecules."""

    def to(self, device: torch.device) -> Self:
        """The same on another device, or itself where batches are made on the processor anyway."""


Kind = TypeVar("Kind", bound=Store)


def place(store: Kind) -> Kind:
    """The store where the network is, if there is room for it; else as it is, and batches are sent over one by one."""
    device = choose_device()
    if device.type == "cpu":
        return store
    try:
        return store.to(device)
    except torch.OutOfMemoryError:
        return store
