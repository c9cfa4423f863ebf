"""Scores what a model says of a policy: effect with intervals, overlap, linearity in δ, contrast against chemistry."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from boomlib.causal.policy import estimates, policy_weights
from boomlib.contracts import (
    NO_FOLD,
    PAIRS,
    PLACES,
    POLICY,
    property_values,
    read_molecules,
    read_split,
    read_table,
)
from boomlib.evaluation.metrics import rmse
from boomlib.evaluation.pairs import compare, pair_groups
from boomlib.evaluation.places import has_places, score_places
from boomlib.evaluation.score import describe_benchmark, number
from boomlib.files import ContractError, StrPath, write_json

RATIOS = ("density", "classifier")
HELD_OUT = "held out"
POPULATIONS = {"train": ("train",), HELD_OUT: ("valid", "id"), "ood": ("ood",)}


def read_policy(path: StrPath, molecule_id: np.ndarray) -> tuple[pa.Table, dict[str, Any]]:
    """A policy table of the molecules of a task, in this order, and the facts of the policy from its metadata.

    Raises:
        ContractError: a molecule or the metadata is lacking, or a value is not finite.
    """
    table = read_table(path, POLICY)
    metadata = table.schema.metadata or {}
    if b"policy" not in metadata:
        raise ContractError(f"{path}: lacks the metadata 'policy'; delete the file and rerun")
    n = len(molecule_id)
    if not np.array_equal(table["molecule_id"].to_numpy(), molecule_id):
        raise ContractError(f"{path}: is not of the {n} molecules of the task, in order; delete it and rerun")
    for name in [*POLICY.columns, *(PLACES if has_places(table) else ())]:
        bad = count_undefined(table[name])
        if bad:
            raise ContractError(
                f"{path}: column '{name}' is not finite for {bad} of {n} molecules; the training has diverged, "
                "lower its learning rate"
            )
    return table, json.loads(metadata[b"policy"])


def count_undefined(column: pa.ChunkedArray) -> int:
    """Of how many rows a value, or one of a list, is a number that is not finite."""
    values = column.combine_chunks()
    row = np.arange(len(values))
    if pa.types.is_list(values.type):
        row, values = np.repeat(row, values.value_lengths().to_numpy()), values.flatten()
    if not pa.types.is_floating(values.type):
        return 0
    return len(np.unique(row[~np.isfinite(values.to_numpy(zero_copy_only=False))]))


def read_pairs(path: StrPath, molecule_id: np.ndarray) -> pa.Table:
    """The matched pairs of which both molecules are in a task; ``left`` and ``right`` are positions in it.

    Args:
        path: the table of the dataset's pairs.
        molecule_id: of the task, int64 [n], in order.
    """
    pairs = read_table(path, PAIRS)
    left, right = (pairs[side].to_numpy() for side in ("left", "right"))
    known = np.isin(left, molecule_id) & np.isin(right, molecule_id)
    positions = {side: np.searchsorted(molecule_id, ids[known]) for side, ids in (("left", left), ("right", right))}
    return pa.table(positions | {"delta_mass": pairs["delta_mass"].filter(pa.array(known))})


def sweep_of(table: pa.Table) -> np.ndarray:
    """The policy head's answers over the sweep of shifts, float64 [n, shifts]."""
    return table["sweep"].combine_chunks().flatten().to_numpy().reshape(table.num_rows, -1)  # type: ignore[no-any-return]  # pyarrow has no types


def contrast_of(table: pa.Table) -> np.ndarray:
    """The contrast of each molecule, the policy head's answer at a + δ less m(a, x), [n]."""
    return table["m_policy"].to_numpy() - table["m_observed"].to_numpy()  # type: ignore[no-any-return]  # pyarrow has no types


def supported(table: pa.Table, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """The gates at a and at a - δ, bool [n] each."""
    return tuple(table[name].to_numpy() >= threshold for name in ("support", "support_before"))


def weights(table: pa.Table, facts: Mapping[str, Any], ratio: str) -> np.ndarray:
    """Clipped weights w(a, x) of the gated policy by one of :data:`RATIOS`, [n]; see :mod:`boomlib.causal.policy`."""
    log_ratio = table[f"log_ratio_{ratio}"].to_numpy()
    return policy_weights(log_ratio, *supported(table, facts["threshold"]), facts["clip"])


def score_policy(
    y: np.ndarray, fold: np.ndarray, table: pa.Table, facts: Mapping[str, Any], pairs: pa.Table
) -> dict[str, Any]:
    """Score one policy table.

    Args:
        y: true values of the molecules of the task, float64 [n].
        fold: str [n].
        table: their policy table, a row a molecule in the same order.
        facts: its metadata: ``shift``, ``sweep`` (Da), ``offset``, ``threshold``, ``clip``.
        pairs: the matched pairs whose right molecule has one CH₂ more, see :func:`read_pairs`.

    Returns:
        ``facts``, truths below the offset, and for each population (train; held out = valid, which chooses the epoch,
        and ID, to which nothing was fitted; OOD) the estimates of ψ(δ) and of the contrast by both density ratios,
        abstention, effective sample sizes, α, linearity, variance over environments; and how the pairs compare.
        A population of fewer than two molecules is left out.

    Raises:
        ContractError: there are fewer than two molecules held out.
    """
    populations = {
        name: score_population(y[rows], table.filter(pa.array(rows)), facts)
        for name, folds in POPULATIONS.items()
        if (rows := np.isin(fold, folds)).sum() > 1
    }
    if HELD_OUT not in populations:
        raise ContractError("a policy is scored on valid and id, which have fewer than two molecules; enlarge them")
    return {
        "facts": dict(facts),
        "truths_below_offset": int((y <= facts["offset"]).sum()),
        "populations": populations,
        "pairs": score_pairs(y, fold, table, pairs),
    }


def score_population(y: np.ndarray, table: pa.Table, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Everything about one group of molecules; ``y`` and ``table`` have the same rows."""
    values = {name: table[name].to_numpy() for name in POLICY.columns if name != "sweep"}
    ahead, before = supported(table, facts["threshold"])
    sweep = sweep_of(table) - values["m_observed"][:, None]
    contrast = contrast_of(table)
    by_ratio = {}
    for ratio in RATIOS:
        # doubly robust for one m alone: the policy head's answer, fitted to pseudo-outcomes, is another function
        found = estimates(
            y,
            values["m_observed"],
            values["m_moved"],
            values[f"log_ratio_{ratio}"],
            ahead,
            before,
            facts["clip"],
        )
        by_ratio[ratio] = {name: estimate.as_dict() for name, estimate in found.items()}
    environments = np.unique(values["environment"])
    means = np.array([contrast[values["environment"] == each].mean() for each in environments])
    return {
        "n": len(y),
        "estimates": by_ratio,
        "abstention": float(1 - ahead.mean()),
        "abstention_by_environment": {
            int(each): float(1 - ahead[values["environment"] == each].mean()) for each in environments
        },
        "alpha": quantiles(values["alpha"]),
        "contrast": quantiles(contrast),
        "contrast_variance_over_environments": float(means.var()),
        "rmse_given_context": rmse(y, values["m_observed"]),
        "linearity": linearity(np.array(facts["sweep"]), sweep.mean(axis=0)),
        # how far the policy head is from the observed world at the same treatment
        "anchor_rmse": rmse(values["m_moved"], values["m_policy"]),
    }


def quantiles(values: np.ndarray) -> dict[str, float]:
    """Mean, standard deviation and quantiles."""
    named = zip(("q05", "median", "q95"), np.quantile(values, (0.05, 0.5, 0.95)), strict=True)
    return {"mean": float(values.mean()), "std": float(values.std()), **{name: float(each) for name, each in named}}


def linearity(shift: np.ndarray, contrast: np.ndarray) -> dict[str, float | list[float] | None]:
    """Slope (unit per Da) of the mean contrast in δ through the origin, uncentred R², and the curve itself."""
    slope = float(shift @ contrast / (shift @ shift))
    total = float(contrast @ contrast)
    explained = 1 - float(((contrast - slope * shift) ** 2).sum()) / total if total else float("nan")
    return {"slope": slope, "r2": number(explained), "shift": shift.tolist(), "contrast": contrast.tolist()}


def score_pairs(y: np.ndarray, fold: np.ndarray, table: pa.Table, pairs: pa.Table) -> dict[str, Any]:
    """Contrasts of the left molecules against the true difference of their CH₂ pairs.

    By group, see :func:`pair_groups`.
    """
    left, right = pairs["left"].to_numpy(), pairs["right"].to_numpy()
    predicted, true = contrast_of(table)[left], y[right] - y[left]
    return {
        group: compare(predicted[rows], true[rows]) | {"n": int(rows.sum())}
        for group, rows in pair_groups(fold, pairs).items()
    }


def score_policy_file(
    molecules: StrPath,
    split: StrPath,
    policy: StrPath,
    pairs: StrPath,
    out: StrPath,
    *,
    name: str,
    unit: str,
) -> None:
    """Write the JSON of :func:`score_policy` for the property ``name``, with its unit, the version and the split."""
    known = read_molecules(molecules)
    y = property_values(known, name, molecules)
    fold, _ = read_split(split)
    ids = np.flatnonzero(fold != NO_FOLD)
    table, facts = read_policy(policy, ids)
    found = read_pairs(pairs, ids)
    scores = score_policy(y[ids], fold[ids], table, facts, found)
    if has_places(table):
        scores["places"] = score_places(
            y[ids], fold[ids], table, facts, found, known["smiles"].to_numpy()[ids], POPULATIONS
        )
    write_json(out, {"unit": unit, **describe_benchmark(known, fold), **scores})
