"""The tested molecules that most models get wrong, and whose label is to be doubted."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from boomlib.contracts import Origin, find_origin, property_values, read_molecules, read_predictions, read_split
from boomlib.evaluation.comparison import COMPARED
from boomlib.files import StrPath, write_json

SHOWN = 10
"""Molecules that are listed, at most."""
HARD = 1.0
"""RMSE by which models typically miss a molecule that is listed."""
ENOUGH = 3
"""Models from which on a label may be doubted."""
FAR = 5.0
"""RMSE by which models typically miss a label that is doubted."""
AGREED = 0.1
"""What the middle half of the predictions spans at most, as a share of the distance from their median to the label."""


def scale_errors(y: np.ndarray, fold: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    """Absolute errors over the model's RMSE on the fold's other molecules, float64 [models, n].

    0 where it has no error on the others: a model that is right everywhere else, or knows no other, finds nothing
    hard. The molecule itself must not count, or one wrong label among few could never stand out.

    Args:
        y: true values, float64 [n].
        fold: str [n].
        y_pred: float64 [models, n].
    """
    error = np.abs(y_pred - y)
    scaled: np.ndarray = np.zeros_like(error)
    for name in np.unique(fold):
        rows = fold == name
        with np.errstate(over="ignore"):  # of a model that diverged
            square = error[:, rows] ** 2
            others = np.sqrt(sum_others(square) / max(1, rows.sum() - 1))
        scaled[:, rows] = error[:, rows] / np.where(others > 0, others, np.inf)
    return scaled


def sum_others(values: np.ndarray) -> np.ndarray:
    """Of each value [k, n] the sum of all others in its row: not total less itself, which may lose them all."""
    before, behind = np.zeros_like(values), np.zeros_like(values)
    before[:, 1:] = values[:, :-1].cumsum(axis=1)
    behind[:, :-1] = values[:, :0:-1].cumsum(axis=1)[:, ::-1]
    total: np.ndarray = before + behind
    return total


def doubt_labels(y: np.ndarray, y_pred: np.ndarray, scaled: np.ndarray) -> np.ndarray:
    """Where models agree with one another and not with the label, bool [n].

    At least :data:`ENOUGH` models are all off to the same side, typically by :data:`FAR` RMSE or more, and the middle
    half of their predictions spans at most :data:`AGREED` of the distance from their median to the label.

    Args:
        y: true values, float64 [n].
        y_pred: float64 [models, n], models ≥ 1.
        scaled: what :func:`scale_errors` makes of them.
    """
    if len(y_pred) < ENOUGH:
        return np.zeros(len(y), dtype=bool)
    first, median, third = np.quantile(y_pred, [0.25, 0.5, 0.75], axis=0)
    one_side = (y_pred > y).all(axis=0) | (y_pred < y).all(axis=0)
    far = np.median(scaled, axis=0) >= FAR
    doubted: np.ndarray = one_side & far & (third - first <= AGREED * np.abs(median - y))
    return doubted


def list_hardest(
    molecules: pa.Table, y: np.ndarray, fold: np.ndarray, predictions: Sequence[np.ndarray]
) -> list[dict[str, Any]]:
    """The :data:`SHOWN` molecules of ID and OOD of the largest median, over models, of :func:`scale_errors`.

    Args:
        molecules: the molecules table.
        y: their labels, float64 [n].
        fold: str [n].
        predictions: of each model, float64 [n]; none: no molecule is hard.

    Returns:
        The hardest first: ``name`` (:func:`name_molecule`), ``smiles``, ``fold``,
        ``label``, of the predictions ``median``, ``low`` and ``high``, ``scaled_error``, and whether the label is
        ``doubted``.
    """
    tested = np.flatnonzero(np.isin(fold, COMPARED))
    if not predictions or not len(tested):
        return []
    y_pred, true = np.stack(predictions)[:, tested], y[tested]
    scaled = scale_errors(true, fold[tested], y_pred)
    hardness, doubted = np.median(scaled, axis=0), doubt_labels(true, y_pred, scaled)
    origin = find_origin(molecules)
    listed = []
    for index in np.argsort(-hardness, kind="stable")[:SHOWN]:
        if hardness[index] < HARD:
            break
        at, shown = int(tested[index]), y_pred[:, index]
        listed.append(
            {
                "name": name_molecule(origin, at),
                "smiles": molecules["smiles"][at].as_py(),
                "fold": str(fold[at]),
                "label": float(true[index]),
                "median": float(np.median(shown)),
                "low": float(shown.min()),
                "high": float(shown.max()),
                "scaled_error": float(hardness[index]),
                "doubted": bool(doubted[index]),
            }
        )
    return listed


def name_molecule(origin: Origin | None, molecule: int) -> str:
    """What the molecule of this id is called: its line or row in a user's file, else its molecule_id."""
    return f"molecule {molecule}" if origin is None else f"{origin.counts} {origin.numbers[molecule]}"


def find_hardest(
    molecules_path: StrPath,
    split_path: StrPath,
    predictions: Mapping[str, Sequence[StrPath]],
    out_path: StrPath,
    *,
    property_name: str,
) -> list[dict[str, Any]]:
    """Write :func:`list_hardest` of one task as JSON, under ``molecules``, and return it.

    Args:
        molecules_path: the molecules table.
        split_path: the split.
        predictions: the files of all seeds by model, without controls and committees; of several seeds the mean
            counts.
        out_path: the JSON file.
        property_name: the property.
    """
    molecules = read_molecules(molecules_path)
    y = property_values(molecules, property_name, molecules_path)
    fold, _ = read_split(split_path)
    means = [
        np.mean([read_aligned(path, fold, molecules) for path in paths], axis=0) for paths in predictions.values()
    ]
    hardest = list_hardest(molecules, y, fold, means)
    write_json(out_path, {"molecules": hardest})
    return hardest


def read_aligned(path: StrPath, fold: np.ndarray, molecules: pa.Table) -> np.ndarray:
    """The predictions of one run in the order of ``molecules``, float64 [n]; NaN where it has none."""
    table = read_predictions(path, fold, molecules)
    y_pred = np.full(len(fold), np.nan)
    y_pred[table["molecule_id"].to_numpy()] = table["y_pred"].to_numpy()
    return y_pred
