"""What readers of a task's errors must know of it: lacking, constant and wild labels, ties, few molecules, kind."""

from collections.abc import Callable, Iterable
from functools import partial

import numpy as np

from boomlib.contracts import NO_FOLD, find_origin, property_values, read_molecules, read_split, read_table
from boomlib.evaluation.comparison import COMPARED, FEWEST
from boomlib.evaluation.hardest import name_molecule
from boomlib.files import StrPath, write_json
from boomlib.harness.columns import stack_columns
from boomlib.labels import SAME, is_nearly_constant

READ_OUT = {"extensive": "sum", "intensive": "mean"}
"""How a property of each kind is read out of atoms."""
FAR_BETTER = 0.5
"""Share of the mean squared error that the other kind must leave of the declared one's."""
ENOUGH = 20
"""Molecules of train from which on both kinds are compared."""
WILD, WILD_IN_LOGS = 30.0, 5.0
"""Widths of the middle four fifths of all labels by which one that may be a mistake lies outside of these.

Where all are positive it does so in logarithms too, by so many: over orders of magnitude a long tail is no mistake.
"""
NAMED = 3
"""Molecules of which a note speaks, at most."""


def fit_composition(design: np.ndarray, y: np.ndarray) -> float:
    """RMSE that a ridge regression on composition leaves of each molecule, fitted to all others.

    Args:
        design: what each element contributes to, float64 [n, elements]; there is no constant beside it.
        y: float64 [n].
    """
    used = design[:, design.any(axis=0)]
    # each column alike, and as much penalty as one molecule has weight
    vectors, values, _ = np.linalg.svd(used / np.sqrt((used**2).mean(axis=0)), full_matrices=False)
    kept = values**2 / (values**2 + 1)
    residual = y - vectors @ (kept * (vectors.T @ y))
    leverage = vectors**2 @ kept
    return float(np.sqrt(np.mean((residual / (1 - leverage)) ** 2)))


def compare_kinds(counts: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """What composition leaves of a property by kind (:func:`fit_composition`): summed over atoms, and averaged.

    Args:
        counts: atoms of each element, float64 [n, elements].
        y: float64 [n].
    """
    shares = counts / counts.sum(axis=1, keepdims=True)
    return {"extensive": fit_composition(counts, y), "intensive": fit_composition(shares, y)}


def note_constant(y: np.ndarray, unit: str) -> Iterable[str]:
    """Whether there is anything to learn from the labels of train, float64 [n]."""
    if is_nearly_constant(y):
        yield (
            f"There is nothing to learn: all or nearly all of the {len(y):,} labels in train are {np.median(y):.6g} "
            f"{unit}. Nobody is ranked or best."
        )


def find_shared(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Which of some values are, but for rounding, among others (float64, in any order), bool."""
    others = np.concatenate([[-np.inf], np.sort(others), [np.inf]])
    at = np.searchsorted(others, values)
    return np.minimum(others[at] - values, values - others[at - 1]) <= SAME * np.abs(values)  # type: ignore[no-any-return]  # NumPy's minimum is Any


def note_ties(fold: np.ndarray, quantity: np.ndarray) -> Iterable[str]:
    """Whether OOD ends among molecules that the scheme does not tell apart; ``quantity`` is what it cuts by."""
    inside, outside = quantity[fold == "ood"], quantity[(fold != "ood") & (fold != NO_FOLD)]
    taken = find_shared(inside, outside).sum()
    if taken:
        tied = taken + find_shared(outside, inside).sum()
        yield (
            f"OOD ends among {tied:,} molecules that are equally rare: {taken:,} of the {len(inside):,} in it are the "
            "first of these in the file."
        )


def note_unlabelled(fold: np.ndarray) -> Iterable[str]:
    """Whether some molecules of the dataset are in no fold."""
    lacking = int((fold == NO_FOLD).sum())
    if lacking:
        yield (
            f"{lacking:,} of the dataset's {len(fold):,} molecules {'has' if lacking == 1 else 'have'} no label of "
            f"this property and {'is' if lacking == 1 else 'are'} in no fold."
        )


def measure_outside(values: np.ndarray) -> tuple[np.ndarray, float, float]:
    """How far values lie outside of their middle four fifths, in widths of that, and its ends; 0 without a width."""
    # of actual values, not between them: among ten the tenth may be the wild one
    low, high = np.quantile(values, 0.1, method="higher"), np.quantile(values, 0.9, method="lower")
    outside = np.maximum(low - values, values - high)
    return outside / (high - low) if high > low else np.zeros_like(values), float(low), float(high)


def note_wild(name: Callable[[int], str], fold: np.ndarray, y: np.ndarray, unit: str) -> Iterable[str]:
    """Whether some labels are so far from all others that they may be mistakes of unit or typing.

    Args:
        name: tells what the molecule of an id is called.
        fold: str [n].
        y: their labels, float64 [n].
        unit: of the labels.
    """
    used = np.flatnonzero(fold != NO_FOLD)
    if not len(used):
        return
    far, low, high = measure_outside(y[used])
    wild = far > WILD
    if (y[used] > 0).all():
        wild &= measure_outside(np.log(y[used]))[0] > WILD_IN_LOGS
    if wild.any():
        order = np.argsort(-far, kind="stable")
        found = used[order[wild[order]]]
        told = [f"{y[each]:.6g} {unit} ({name(int(each))}, in {fold[each]})" for each in found[:NAMED]]
        more = f" and {len(found) - NAMED:,} more" if len(found) > NAMED else ""
        yield (
            f"Far outside of all other labels, four fifths of which lie from {low:.6g} to {high:.6g}: "
            f"{', '.join(told)}{more}. "
            "Every model learns from such labels or is judged by them; mend what is a mistake in the source."
        )


def note_few(fold: np.ndarray) -> Iterable[str]:
    """Whether a tested fold is so small that no difference between models is beyond chance."""
    sizes = {name: int((fold == name).sum()) for name in COMPARED}
    few = {name: size for name, size in sizes.items() if size < FEWEST}
    if few:
        counted = " and ".join(f"{size} molecule{'s' * (size != 1)} in {name.upper()}" for name, size in few.items())
        yield (
            f"There {'is' if next(iter(few.values())) == 1 else 'are'} {counted}: on fewer than {FEWEST} every "
            "difference between models may be chance, so that nobody is "
            f"{'ranked or best' if 'ood' in few else 'best there'}."
        )


def note_kind(counts: np.ndarray, y: np.ndarray, kind: str, unit: str) -> Iterable[str]:
    """Whether the other kind explains the labels of train far better.

    Args:
        counts: atoms of each element of the molecules of train, float64 [n, elements].
        y: their labels, float64 [n].
        kind: the declared one.
        unit: of the labels.
    """
    if len(y) < ENOUGH or is_nearly_constant(y):
        return
    left = compare_kinds(counts, y)
    other = next(each for each in left if each != kind)
    if left[other] ** 2 < FAR_BETTER * left[kind] ** 2:
        yield (
            f"`kind: {kind}` is doubtful: read out as a {READ_OUT[kind]} over atoms, composition leaves an RMSE of "
            f"{left[kind]:.3g} {unit} in train, as a {READ_OUT[other]} {left[other]:.3g} {unit}. If the property is "
            f"{other}, correct its `kind`: models read out accordingly."
        )


def inspect_task(
    molecules_path: StrPath,
    split_path: StrPath,
    elements_path: StrPath,
    out_path: StrPath,
    *,
    property_name: str,
    kind: str,
    unit: str,
) -> list[str]:
    """Write the notes on one task as JSON, a list of sentences under ``notes``, and return them.

    Args:
        molecules_path: the molecules table.
        split_path: the split.
        elements_path: the feature table ``elements``.
        out_path: the JSON file.
        property_name: the property.
        kind: ``extensive`` or ``intensive``, as declared.
        unit: the property's unit.
    """
    molecules = read_molecules(molecules_path)
    y = property_values(molecules, property_name, molecules_path)
    fold, quantity = read_split(split_path)
    train = fold == "train"
    counts = stack_columns(read_table(elements_path).drop_columns("molecule_id"))[train]
    notes = [
        *note_unlabelled(fold),
        *note_constant(y[train], unit),
        *note_wild(partial(name_molecule, find_origin(molecules)), fold, y, unit),
        *note_few(fold),
        *note_ties(fold, quantity),
        *note_kind(counts, y[train], kind, unit),
    ]
    write_json(out_path, {"notes": notes})
    return notes
