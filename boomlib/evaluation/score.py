"""Scores one run: predictions against the truth, fold by fold."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

import numpy as np
import pyarrow as pa

from boomlib.contracts import (
    PREDICTED_FOLDS,
    property_values,
    read_molecules,
    read_predictions,
    read_split,
    write_table,
)
from boomlib.evaluation.bootstrap import bootstrap_intervals
from boomlib.evaluation.comparison import RESAMPLED, resample_folds
from boomlib.evaluation.metrics import METRICS, rmse
from boomlib.files import StrPath, write_json
from boomlib.provenance import content_hash
from boomlib.version import VERSION


def fold_masks(y: np.ndarray, fold: np.ndarray) -> dict[str, np.ndarray]:
    """The molecules of each scored fold, bool [n].

    ``ood_tail`` holds the OOD molecules whose label lies outside the closed range of the labels of train and
    valid, ``ood_interior`` the other OOD molecules.
    """
    masks = {name: fold == name for name in PREDICTED_FOLDS}
    seen = y[np.isin(fold, ("train", "valid"))]
    inside = (y >= seen.min()) & (y <= seen.max())
    return masks | {"ood_tail": masks["ood"] & ~inside, "ood_interior": masks["ood"] & inside}


def number(value: float) -> float | None:
    """A float for JSON, which has neither NaN nor infinity: they become null."""
    return float(value) if isfinite(value) else None


def ratio(numerator: float, denominator: float) -> float | None:
    """Their ratio for JSON; null where the denominator is zero."""
    return number(numerator / denominator) if denominator else None


def score(y: np.ndarray, fold: np.ndarray, y_pred: np.ndarray, *, resamples: int = 1000) -> dict[str, Any]:
    """Score the predictions of one run.

    Args:
        y: true values of all molecules, float64 [n], in the property's unit; NaN where there is none.
        fold: str [n]; there is at least one molecule in train, and one without a value is in no fold.
        y_pred: float64 [n], finite on valid, id and ood; the rest is not read. NaN on all of valid leaves its metrics
            undefined and changes no other.
        resamples: bootstrap resamples for the 95 % intervals.

    Returns:
        ``n_train`` (molecules in the fold train), ``folds`` and ``ood_id_ratio``, the RMSE on ood over that
        on id. Each fold has ``n``, ``floor`` (the RMSE of predicting the mean label of the fold train),
        ``normalised_rmse`` (RMSE over floor) and ``metrics``: by name a value with the ends of its interval,
        ``low`` and ``high``. What is undefined is None; an empty fold has n = 0 and None everywhere else.
    """
    train_mean, median = y[fold == "train"].mean(), float(np.median(y[fold == "train"]))
    folds: dict[str, dict[str, Any]]
    errors: dict[str, float]
    folds, errors = {}, {}
    for name, mask in fold_masks(y, fold).items():
        true, predicted = y[mask], y_pred[mask]
        if not len(true):
            folds[name] = {"n": 0, "floor": None, "normalised_rmse": None, "metrics": None}
            continue
        # a model that diverged overflows; its metrics come out as infinity, hence None
        with np.errstate(over="ignore", invalid="ignore"):
            values = {metric.name: metric.compute(true, predicted, median) for metric in METRICS.values()}
            intervals = bootstrap_intervals(true, predicted, median=median, resamples=resamples)
        errors[name] = values["rmse"]
        floor = rmse(true, np.full(len(true), train_mean))
        folds[name] = {
            "n": len(true),
            "floor": floor,
            "normalised_rmse": ratio(values["rmse"], floor),
            "metrics": {
                metric: {"value": number(value), "low": number(low), "high": number(high)}
                for metric, value in values.items()
                for low, high in [intervals[metric]]
            },
        }
    return {
        "n_train": int((fold == "train").sum()),
        "folds": folds,
        "ood_id_ratio": ratio(errors["ood"], errors["id"]) if {"id", "ood"} <= errors.keys() else None,
    }


def score_run(
    molecules_path: StrPath,
    split_path: StrPath,
    predictions_path: StrPath,
    out_path: StrPath,
    resampled_path: StrPath,
    *,
    property_name: str,
    run: Mapping[str, Any],
    unit: str,
    resamples: int = 1000,
) -> None:
    """Read one run's files, check its predictions against the split, and write its metrics and its resampled RMSE.

    Args:
        molecules_path: the molecules table, which holds the truth.
        split_path: the split that the run answers.
        predictions_path: the run's predictions.
        out_path: the JSON file: ``run``, ``unit`` and what :func:`describe_benchmark` and :func:`score` return.
        resampled_path: the table of :func:`boomlib.evaluation.comparison.resample_folds`.
        property_name: the predicted property.
        run: ``dataset``, ``property``, ``scheme``, ``model`` and ``seed``.
        unit: the property's unit, for the tables.
        resamples: bootstrap resamples.
    """
    molecules = read_molecules(molecules_path)
    y = property_values(molecules, property_name, molecules_path)
    fold, _ = read_split(split_path)
    predictions = read_predictions(predictions_path, fold, molecules)
    y_pred = np.full(len(y), np.nan)
    y_pred[predictions["molecule_id"].to_numpy()] = predictions["y_pred"].to_numpy()
    write_table(resample_folds(y, fold, y_pred, resamples=resamples), resampled_path, RESAMPLED)
    described = {"run": run, "unit": unit, **describe_benchmark(molecules, fold)}
    write_json(out_path, described | score(y, fold, y_pred, resamples=resamples))


def describe_benchmark(molecules: pa.Table, fold: np.ndarray) -> dict[str, str]:
    """What scores belong to: ``version`` of the benchmark, and ``split``, a hash of the molecules' SMILES and folds.

    Args:
        molecules: the molecules table.
        fold: str [n].
    """
    return {"version": VERSION, "split": content_hash([molecules["smiles"].to_pylist(), fold.tolist()])}
