"""The one way from molecules to folds: a scheme's assignment, the validation cut, and the blinded task table."""

import importlib
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from boomlib.contracts import (
    FOLDS,
    NO_FOLD,
    SPLIT,
    TASK,
    find_origin,
    fold_array,
    property_values,
    read_molecules,
    read_table,
    write_table,
)
from boomlib.files import DATASET_ENTRY, ContractError, StrPath
from boomlib.splits import SplitInput

FEWEST = 3  # molecules: one in each of train, valid and ood


def cut_valid(fold: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Move a random ``fraction`` of ``train`` to ``valid``: NumPy's ``default_rng(seed)``, without replacement.

    BOOM has no validation fold; train and valid together are BOOM's train.

    Raises:
        ContractError: no molecule is left in train.
    """
    train = np.flatnonzero(fold == "train")
    size = max(1, round(fraction * len(train)))
    if size >= len(train):
        raise ContractError(
            f"ood and id leave {len(train)} of {len(fold)} molecules, too few for train and valid; add molecules, "
            f"lower `split.ood_size`, `split.id_fraction` or `split.valid_fraction` in {DATASET_ENTRY}, or leave the "
            "task out of `tasks`"
        )
    cut = fold.copy()
    cut[np.random.default_rng(seed).choice(train, size=size, replace=False)] = "valid"
    return cut


def ood_molecules(ood_size: float, n: int) -> int:
    """Number of OOD molecules: ``ood_size`` itself, or a share of ``n`` below 1; must leave some for the rest."""
    if n < FEWEST:
        raise ContractError(
            f"{n} molecules cannot be split: train, valid and OOD need one each; add molecules to the dataset, or "
            f"take the property out of its entry ({DATASET_ENTRY})"
        )
    size = int(ood_size) if ood_size >= 1 else math.ceil(ood_size * n - 1e-9)
    if size >= n:
        raise ContractError(
            f"{n} molecules are too few for an OOD fold of {size}; lower `split.ood_size` in {DATASET_ENTRY}"
        )
    return size


def make_split(
    molecules: StrPath,
    features: Mapping[str, StrPath],
    split: StrPath,
    task: StrPath,
    *,
    properties: list[str],
    name: str,
    scheme: str,
    settings: Mapping[str, Any],
) -> dict[str, int]:
    """Write the split of one task, and the task table that training jobs get: labels of train and valid alone.

    Args:
        molecules: the molecules table.
        features: the feature tables that the scheme reads, by name.
        split: the split to write.
        task: the task table to write, of the molecules that have a label: ``molecule_id``, ``smiles``, ``fold``, ``y``
            (null on id and ood), and of a user's file where each stands in it.
        properties: all properties of the dataset in the registry's order.
        name: the property to split by.
        scheme: name of a module of ``boomlib/splits``.
        settings: ``split`` of the dataset's registry entry.

    A molecule without a label of the property is in no fold.

    Returns:
        Counts: the size of each fold, the molecules that are in none if there are any, and the scheme's facts.

    Raises:
        ContractError: too few molecules for these settings.
    """
    table = read_molecules(molecules)
    values = {each: property_values(table, each, molecules) for each in properties}
    labelled = np.isfinite(values[name])
    known = SplitInput(
        name,
        {each: column[labelled] for each, column in values.items()},
        {feature: read_table(path).filter(pa.array(labelled)) for feature, path in features.items()},
    )
    fold: np.ndarray
    facts: dict[str, int]
    rule = dict(settings)
    fraction, ood_size = rule.pop("valid_fraction"), rule.pop("ood_size")
    try:
        size = ood_molecules(ood_size, int(labelled.sum()))
        fold, quantity, facts = importlib.import_module(f"boomlib.splits.{scheme}").assign(
            known, ood_size=size, **rule
        )
        fold = cut_valid(fold, fraction, settings["seed"])
    except ContractError as error:
        lacking = "" if labelled.all() else f", which {labelled.sum():,} of {len(labelled):,} molecules have"
        raise ContractError(f"{molecules}, property '{name}'{lacking}, scheme '{scheme}': {error}") from None
    write_split(table, values[name], fold, quantity, split, task)
    sizes = {each: int((fold == each).sum()) for each in FOLDS}
    return sizes | ({} if labelled.all() else {"without_label": int((~labelled).sum())}) | facts


def write_split(
    molecules: pa.Table, y: np.ndarray, fold: np.ndarray, quantity: np.ndarray, split: StrPath, task: StrPath
) -> None:
    """Write the tables of :func:`make_split`.

    Args:
        molecules: the molecules table.
        y: labels of its molecules, float64 [n]; NaN where there is none.
        fold: of those that have one, str [labelled].
        quantity: what the scheme cuts these by, float64 [labelled].
        split: the split to write.
        task: the task table to write.
    """
    labelled = np.isfinite(y)
    everywhere, density = np.full(len(y), NO_FOLD, dtype=fold.dtype), np.full(len(y), np.nan)
    everywhere[labelled], density[labelled] = fold, quantity
    ids, folds = molecules["molecule_id"], fold_array(everywhere)
    columns = {"molecule_id": ids, "fold": folds, "density": pa.array(density, from_pandas=True)}
    write_table(pa.table(columns), split, SPLIT)
    seen = pa.array(y, mask=~np.isin(everywhere, ("train", "valid")))
    blinded = pa.table({"molecule_id": ids, "smiles": molecules["smiles"], "fold": folds, "y": seen})
    if origin := find_origin(molecules):
        blinded = blinded.append_column(*origin.as_column())
    write_table(blinded.filter(pa.array(labelled)), task, TASK)
