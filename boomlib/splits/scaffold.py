"""Split by Murcko scaffold: whole scaffolds are OOD, the rarest ones first."""

import hashlib
import random
from collections.abc import Sequence

import numpy as np

from boomlib.files import DATASET_ENTRY, ContractError
from boomlib.splits import SplitInput

TITLE = "Split by scaffold (`scaffold`)"
TEXT = "OOD are the molecules with the rarest Murcko scaffolds; a scaffold is never divided."
QUANTITY = "Scaffold rank\n(1 = most common)"
FEATURES = ("scaffolds",)


def rank_scaffolds(scaffolds: Sequence[str]) -> np.ndarray:
    """Rank of each molecule's scaffold by how many molecules share it, int64 [n]; 0 is the most common.

    Equally common scaffolds stand in the order of the blake2 hash of their SMILES: the same in every process,
    and unlike the order of rows or of the alphabet unrelated to chemistry.
    """
    unique, inverse, counts = np.unique(np.asarray(scaffolds, dtype=object), return_inverse=True, return_counts=True)
    hashes = [hashlib.blake2b(scaffold.encode(), digest_size=8).hexdigest() for scaffold in unique]
    order = sorted(range(len(unique)), key=lambda i: (-counts[i], hashes[i]))
    rank = np.empty(len(unique), dtype=np.int64)
    rank[order] = np.arange(len(unique))
    return rank[inverse]


def assign(
    table: SplitInput, *, ood_size: int, id_fraction: float, seed: int, **settings: object
) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
    """Folds by scaffold, whatever the property.

    From the rarest scaffold upwards, each goes to OOD as a whole if it still fits into ``ood_size``. A molecule
    of the others is ``id`` where its draw from ``random.Random(seed)``, row by row, is below ``id_fraction``.

    Returns:
        fold (str [n]), the scaffold's rank (float64 [n], 0 the most common) and no facts.

    Raises:
        ContractError: all molecules have one scaffold, or every scaffold is larger than the OOD fold.
    """
    scaffolds = table.features["scaffolds"]["scaffold"].to_pylist()
    rank = rank_scaffolds(scaffolds)
    sizes = np.bincount(rank)
    if len(sizes) == 1:
        what = f"have the one scaffold {scaffolds[0]}" if scaffolds[0] else "are acyclic, which counts as one scaffold"
        raise ContractError(
            f"this scheme cannot split this data: all {len(rank)} molecules {what}, and a scaffold is never divided; "
            "split by another scheme (`schemes: [kde]`)"
        )
    chosen, left = [], ood_size
    for scaffold in range(len(sizes) - 1, -1, -1):
        if sizes[scaffold] <= left:
            chosen.append(scaffold)
            left -= sizes[scaffold]
        if not left:
            break
    if not chosen:
        raise ContractError(
            f"every scaffold has more than {ood_size} molecules (the rarest: {sizes[-1]}), so none can be held out "
            f"whole; set `split.ood_size` to {sizes[-1]} or more in {DATASET_ENTRY}"
        )
    fold = np.where(np.isin(rank, chosen), "ood", "train").astype("<U5")
    generator = random.Random(seed)
    for row in np.flatnonzero(fold == "train"):
        if generator.random() < id_fraction:
            fold[row] = "id"
    return fold, rank.astype(np.float64), {}
