"""Environments for training that is invariant across them: molecules grouped by their scaffold."""

import hashlib
from collections.abc import Sequence

import numpy as np

from boomlib.files import ContractError


def environment_of(scaffolds: Sequence[str], count: int) -> np.ndarray:
    """Environment of each molecule by its Murcko scaffold, int64 [n] in 0…count-1.

    It is the blake2b hash of the scaffold modulo ``count``. Unlike Python's own ``hash`` it is the same in every
    process, and it does not depend on which other molecules there are. All acyclic molecules share one environment.

    Raises:
        ContractError: ``count`` is less than 1.
    """
    if count < 1:
        raise ContractError(f"{count} environments: there must be at least one")
    digests = (hashlib.blake2b(scaffold.encode(), digest_size=8).digest() for scaffold in scaffolds)
    return np.array([int.from_bytes(digest, "big") % count for digest in digests], dtype=np.int64)
