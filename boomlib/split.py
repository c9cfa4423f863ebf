"""The one way from molecules to folds: a scheme's assignment, the validation cut, and the blinded task table."""

import math
import os

import numpy as np
import pyarrow as pa

from boomlib.contracts import SPLIT, TASK, fold_array, property_values, read_molecules, read_table, write_table
from boomlib.files import ContractError
from boomlib.splits import kde, scaffold


def cut_valid(fold: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Move a random ``fraction`` of ``train`` to ``valid``: NumPy's ``default_rng(seed)``, without replacement.

    BOOM has no validation fold; train and valid together are BOOM's train.
    """
    train = np.flatnonzero(fold == "train")
    size = max(1, round(fraction * len(train)))
    cut = fold.copy()
    cut[np.random.default_rng(seed).choice(train, size=size, replace=False)] = "valid"
    return cut


def ood_molecules(ood_size: float, n: int, where: str) -> int:
    """Number of OOD molecules: ``ood_size`` itself, or a share of ``n`` below 1; must leave some for the rest."""
    size = int(ood_size) if ood_size >= 1 else math.ceil(ood_size * n - 1e-9)
    if size >= n:
        raise ContractError(
            f"{where}: {n} molecules are too few for an OOD fold of {size}; lower `split.ood_size` of the "
            "dataset in config/datasets.yaml"
        )
    return size


def make_split(
    molecules: str | os.PathLike,
    scaffolds: str | os.PathLike,
    split: str | os.PathLike,
    task: str | os.PathLike,
    *,
    properties: list[str],
    name: str,
    scheme: str,
    settings: dict,
) -> dict[str, int]:
    """Write the split of one task, and the task table that training jobs get: labels of train and valid alone.

    Args:
        molecules: the molecules table.
        scaffolds: the scaffolds feature (read by scheme ``scaffold``).
        split: the split to write.
        task: the task table to write: ``molecule_id``, ``smiles``, ``fold``, ``y`` (null on id and ood).
        properties: all properties of the dataset in the registry's order.
        name: the property to split by.
        scheme: ``kde`` or ``scaffold``.
        settings: ``split`` of the dataset's registry entry.

    Returns:
        Counts: the size of each fold, and for ``kde`` the molecules tied at the threshold.
    """
    table = read_molecules(molecules)
    values = property_values(table, name, molecules)
    size = ood_molecules(settings["ood_size"], len(values), f"{molecules}, property '{name}'")
    rule = {"ood_size": size, "id_fraction": settings["id_fraction"], "seed": settings["seed"]}
    if scheme == "kde":
        columns = {each: property_values(table, each, molecules) for each in properties}
        fold, density = kde.assign(columns, name, shared_generator=settings["shared_generator"], **rule)
        facts = {"tied_at_threshold": kde.ties_at_threshold(density, size)}
    else:
        names = read_table(scaffolds)["scaffold"].to_pylist()
        fold, density = scaffold.assign(names, **rule)
        facts = {}
    left = int((fold == "train").sum())
    if left < 2:
        raise ContractError(
            f"{molecules}, property '{name}': ood and id leave {left} of {len(fold)} molecules for train and valid; "
            "lower `split.ood_size` or `split.id_fraction` of the dataset in config/datasets.yaml"
        )
    fold = cut_valid(fold, settings["valid_fraction"], settings["seed"])
    ids, folds = table["molecule_id"], fold_array(fold)
    write_table(pa.table({"molecule_id": ids, "fold": folds, "density": density}), split, SPLIT)
    labels = pa.array(values, mask=np.isin(fold, ("id", "ood")))
    write_table(pa.table({"molecule_id": ids, "smiles": table["smiles"], "fold": folds, "y": labels}), task, TASK)
    return {each: int((fold == each).sum()) for each in ("train", "valid", "id", "ood")} | facts
