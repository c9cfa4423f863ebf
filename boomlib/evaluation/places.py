"""Scores a policy with a place: contrasts of CH₂ pairs where they differ, and the effect of placing at random.

Its estimator is :mod:`boomlib.causal.places`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from rdkit import Chem

from boomlib.causal.places import place_estimates
from boomlib.causal.policy import gate
from boomlib.evaluation.metrics import rmse
from boomlib.evaluation.pairs import compare, pair_groups


def has_places(table: pa.Table) -> bool:
    """Whether a policy table is of a policy with a place."""
    return "place_product" in table.column_names


def flat(smiles: str) -> str:
    """Canonical SMILES without stereochemistry, as products of insertions have it."""
    return Chem.MolToSmiles(Chem.MolFromSmiles(smiles), isomericSmiles=False)


def place_support(table: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """The places of all molecules behind each other: position of the molecule, int [k], and support, float64 [k]."""
    sizes, ratio = list_places(table, "place_log_ratio")
    return np.repeat(np.arange(len(sizes)), sizes), np.exp(-np.maximum(ratio, 0))


def list_places(table: pa.Table, name: str) -> tuple[np.ndarray, np.ndarray]:
    """How many places each molecule has, int [n], and a column of these, [k], all molecules behind each other."""
    column = table[name].combine_chunks()
    return column.value_lengths().to_numpy(), column.flatten().to_numpy(zero_copy_only=False)


def place_contrasts(table: pa.Table, pairs: pa.Table, smiles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Contrast of each pair's left molecule at the place where a CH₂ makes the right one, and its log ratio.

    Args:
        table: the policy table.
        pairs: positions of the pairs' molecules.
        smiles: of the molecules of the table, [n].

    Returns:
        float64 [pairs] each, NaN where no insertion makes the right molecule.
    """
    left, right = pairs["left"].to_numpy(), pairs["right"].to_numpy()
    names = {each: flat(smiles[each]) for each in np.unique(right)}
    wanted, place = np.unique(left, return_inverse=True)
    chosen = table.take(pa.array(wanted))
    products, outcomes, ratios = (
        chosen[name].to_pylist() for name in ("place_product", "place_outcome", "place_log_ratio")
    )
    where = [dict(zip(each, range(len(each)), strict=True)) for each in products]
    found = [(at, where[at].get(names[each])) for at, each in zip(place, right, strict=True)]
    here = table["m_grouped"].to_numpy()[left]
    outcome = np.array([np.nan if which is None else outcomes[at][which] for at, which in found], dtype=float)
    ratio = np.array([np.nan if which is None else ratios[at][which] for at, which in found], dtype=float)
    return outcome - here, ratio


def score_places(
    y: np.ndarray,
    fold: np.ndarray,
    table: pa.Table,
    facts: Mapping[str, Any],
    pairs: pa.Table,
    smiles: np.ndarray,
    populations: Mapping[str, tuple[str, ...]],
) -> dict[str, Any]:
    """Score a policy with a place.

    Args:
        y: true values, float64 [n].
        fold: str [n].
        table: the policy table, in the same order.
        facts: its metadata.
        pairs: CH₂ pairs by position.
        smiles: of the molecules, [n].
        populations: folds by name.

    Returns:
        ``pairs``: all, unseen and of these the supported ones; ``populations``: the estimates of placing at random.
    """
    predicted, ratio = place_contrasts(table, pairs, smiles)
    left, right = pairs["left"].to_numpy(), pairs["right"].to_numpy()
    true, placed = y[right] - y[left], ~np.isnan(predicted)
    groups = {name: rows & placed for name, rows in pair_groups(fold, pairs).items()}
    groups["unseen and supported"] = groups["unseen"] & gate(np.nan_to_num(ratio), facts["threshold"])
    valid = (fold[left] == "valid") & (fold[right] == "valid")
    groups["valid"] = valid & placed
    return {
        "without_place": int((~placed).sum()),
        "pairs": {
            name: compare(predicted[rows], true[rows]) | {"n": int(rows.sum())} for name, rows in groups.items()
        },
        "populations": {
            name: score_random_places(y[rows], table.filter(pa.array(rows)), facts)
            for name, folds in populations.items()
            if (rows := np.isin(fold, folds)).sum() > 1
        },
    }


def score_random_places(y: np.ndarray, table: pa.Table, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The policy that puts a CH₂ at one of a molecule's places, each as likely, where that is supported."""
    sizes, outcome = list_places(table, "place_outcome")
    moved, ratio = (list_places(table, name)[1] for name in ("place_moved", "place_log_ratio"))
    row = np.repeat(np.arange(len(y)), sizes)
    found = place_estimates(
        y,
        table["m_grouped"].to_numpy(),
        moved,
        row,
        1 / sizes[row],
        table["log_ratio_grouped"].to_numpy(),
        ratio,
        facts["threshold"],
        facts["clip"],
    )
    return {
        "n": len(y),
        "estimates": {name: each.as_dict() for name, each in found.items()},
        "abstention": found["contrast"].abstention,
        "rmse_given_groups": rmse(y, table["m_grouped"].to_numpy()),
        "anchor_rmse": rmse(moved, outcome) if len(moved) else None,
    }
