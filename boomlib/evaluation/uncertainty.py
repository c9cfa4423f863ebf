"""How far the intervals of a model and the flags of applicability are to be believed, on ID and on OOD."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from boomlib.contracts import property_values, read_molecules, read_predictions, read_split, read_table
from boomlib.evaluation.applicability import FLAGS, SCORES, STRUCTURE, Domain
from boomlib.evaluation.conformal import (
    CONFIDENCE,
    NORMALISED,
    PLAIN,
    USUAL,
    Calibration,
    choose_interval,
    combine_seeds,
    has_spread,
)
from boomlib.evaluation.metrics import mid_ranks, rmse, spearman
from boomlib.evaluation.score import describe_benchmark, fold_masks, number, ratio
from boomlib.files import StrPath, read_json, write_json, write_text

JUDGED = ("id", "ood", "ood_tail", "ood_interior")
"""Folds on which intervals are judged: all but valid, which has calibrated them."""
MEAN = "mean"
"""Name of what all seeds of a model say together."""
MEASURES = ("coverage", "chance", "width", "relative_width", "rank_correlation")
COLUMNS = (
    "dataset",
    "property",
    "scheme",
    "model",
    "predictor",
    "kind",
    "offered",
    "fold",
    "measure",
    "unit",
    "value",
    "low",
    "high",
    "n_molecules",
)


@dataclass(frozen=True)
class Predictor:
    """Predictions of one seed, or of all seeds of a model together: ``y_pred`` and ``y_std`` are float64 [n]."""

    name: str
    seeds: tuple[int, ...]
    y_pred: np.ndarray
    y_std: np.ndarray | None


def list_predictors(
    seeds: Sequence[int], y_pred: np.ndarray, y_std: np.ndarray | None, y: np.ndarray, valid: np.ndarray
) -> list[Predictor]:
    """Each seed, and behind them their mean where they differ; a spread that is mere rounding is none.

    Args:
        seeds: the seeds.
        y_pred: what they predict, float64 [seeds, n].
        y_std: their own spread, float64 [seeds, n]; None of models that tell none.
        y: labels, float64 [n].
        valid: which molecules have calibrated, bool [n].
    """

    def is_usable(spread: np.ndarray | None) -> bool:
        """That of a model that diverged is none either."""
        return spread is not None and has_spread(y[valid], spread[valid]) and not np.isinf(spread).any()

    def combine(name: str, chosen: Sequence[int]) -> Predictor:
        mean, spread = combine_seeds(y_pred[chosen], None if y_std is None else y_std[chosen])
        return Predictor(name, tuple(seeds[at] for at in chosen), mean, spread if is_usable(spread) else None)

    predictors = [combine(f"seed{seed}", [at]) for at, seed in enumerate(seeds)]
    if len(seeds) > 1 and is_usable(np.std(y_pred, axis=0)):
        predictors.append(combine(MEAN, list(range(len(seeds)))))
    return predictors


def judge_intervals(
    y: np.ndarray, fold: np.ndarray, predictor: Predictor, calibration: Calibration
) -> dict[str, dict[str, Any]]:
    """How the intervals of a predictor hold, by the folds :data:`JUDGED`.

    Args:
        y: labels, float64 [n].
        fold: str [n].
        predictor: its predictions of valid, id and ood.
        calibration: how wide its intervals are.

    Returns:
        By fold ``n``, ``coverage`` (share of labels inside) with ``low`` and ``high``, its 95 % Wilson interval,
        ``chance`` (of no more than that on molecules like those of valid: :meth:`Calibration.find_chance`), ``width``
        (median, in the property's unit), ``relative_width`` (over the RMSE of predicting train's mean) and
        ``rank_correlation`` (Spearman's, of the width with the absolute error). What is undefined is None, as are
        widths of intervals that too few molecules have calibrated; of an empty fold everything but ``n``.
    """
    from scipy.stats import binomtest  # imports slowly, and the table below needs none of it

    half = calibration.half_widths(len(y), predictor.y_std)
    error, train_mean = np.abs(y - predictor.y_pred), y[fold == "train"].mean()
    judged: dict[str, dict[str, Any]] = {}
    for name, rows in fold_masks(y, fold).items():
        n = int(rows.sum())
        if name not in JUDGED:
            continue
        if not n:
            judged[name] = {"n": 0} | dict.fromkeys((*MEASURES, "low", "high"))
            continue
        inside = int((error[rows] <= half[rows]).sum())
        wilson = binomtest(inside, n).proportion_ci(method="wilson")
        width = 2 * float(np.median(half[rows]))
        judged[name] = {
            "n": n,
            "coverage": inside / n,
            "low": float(wilson.low),
            "high": float(wilson.high),
            "chance": calibration.find_chance(inside, n),
            "width": number(width),
            "relative_width": ratio(width, rmse(y[rows], np.full(n, train_mean))),
            "rank_correlation": number(spearman(half[rows], error[rows])) if np.isfinite(half[rows]).all() else None,
        }
    return judged


def find_auroc(inside: np.ndarray, outside: np.ndarray) -> float | None:
    """Probability that a score of ``outside`` is above one of ``inside``, equals counting half; None if one is empty.

    The area under the ROC curve (Hanley & McNeil, Radiology 143, 29, 1982). Scores are float64 [n] each.
    """
    if not len(inside) or not len(outside):
        return None
    ranks = mid_ranks(np.concatenate([inside, outside]))
    return float((ranks[len(inside) :].mean() - (len(outside) + 1) / 2) / len(inside))


def judge_flag(scores: np.ndarray, flagged: np.ndarray, fold: np.ndarray) -> dict[str, float | None]:
    """``auroc`` of a score for telling OOD from ID, and the share that is flagged of either: ``id``, ``ood``.

    Args:
        scores: float64 [n], finite on id and ood.
        flagged: bool [n].
        fold: str [n].
    """
    rows = {name: fold == name for name in ("id", "ood")}
    shares = {name: float(flagged[each].mean()) if each.any() else None for name, each in rows.items()}
    return {"auroc": find_auroc(scores[rows["id"]], scores[rows["ood"]]), **shares}


def judge_predictor(
    y: np.ndarray, fold: np.ndarray, predictor: Predictor, domain: Domain, structure: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """What :func:`judge_uncertainty` writes of one predictor; nothing but valid, and of train its labels, calibrates.

    Args:
        y: labels, float64 [n].
        fold: str [n].
        predictor: its predictions of valid, id and ood.
        domain: that of the task.
        structure: its scores (float64 [n]) and flags (bool [n]) of the molecules.
    """
    valid, y_pred, y_std = fold == "valid", predictor.y_pred, predictor.y_std
    seen = (y[valid], y_pred[valid], None if y_std is None else y_std[valid])
    calibrations = {PLAIN: Calibration.fit(*seen[:2])}
    flags = {name: judge_flag(structure[name], structure[f"{name}_flag"], fold) for name in STRUCTURE}
    scores, usual = domain.score_values(y_pred), None
    flags["value"] = judge_flag(scores, scores > domain.limits["value"], fold)
    if y_std is not None:
        calibrations[NORMALISED] = Calibration.fit(*seen)
        usual = float(np.quantile(y_std[valid], USUAL))
        flags["spread"] = judge_flag(y_std, y_std > usual, fold)
    return {
        "name": predictor.name,
        "seeds": predictor.seeds,
        "offered": choose_interval(*seen),
        "usual_spread": usual,
        "intervals": {
            kind: {"calibration": calibration.to_json(), "folds": judge_intervals(y, fold, predictor, calibration)}
            for kind, calibration in calibrations.items()
        },
        "flags": {name: flags[name] for name in FLAGS if name in flags},
    }


def judge_uncertainty(
    molecules_path: StrPath,
    split_path: StrPath,
    predictions: Mapping[int, StrPath],
    domain_path: StrPath,
    scores_path: StrPath,
    out_path: StrPath,
    *,
    property_name: str,
    model: Mapping[str, str],
    unit: str,
) -> None:
    """Calibrate and judge the intervals and flags of one model on one task, and write them as JSON.

    Args:
        molecules_path: the molecules table, which holds the truth.
        split_path: the split.
        predictions: the model's predictions by seed.
        domain_path: the domain of the task.
        scores_path: what it says of the task's molecules.
        out_path: the JSON file: ``model``, ``unit``, what :func:`boomlib.evaluation.score.describe_benchmark` returns,
            the ``confidence`` of the intervals, and ``predictors``, one a seed and then their mean if they differ: the
            last is what users get. Each has ``name``, ``seeds``, which interval is ``offered`` (chosen on valid),
            ``usual_spread`` beyond which it is flagged, ``intervals`` by kind, with the ``calibration`` and, under
            ``folds``, what :func:`judge_intervals` returns, and ``flags``, by name what :func:`judge_flag` returns.
        property_name: the property.
        model: ``dataset``, ``property``, ``scheme`` and ``model``.
        unit: the property's unit, for the tables.
    """
    molecules = read_molecules(molecules_path)
    y = property_values(molecules, property_name, molecules_path)
    fold, _ = read_split(split_path)
    tables = [read_predictions(path, fold, molecules) for path in predictions.values()]
    y_pred = np.stack([align(table, "y_pred", len(y)) for table in tables])
    told = all("y_std" in table.column_names for table in tables)
    y_std = np.stack([align(table, "y_std", len(y)) for table in tables]) if told else None
    scores = read_table(scores_path, SCORES)
    structure = {name: align(scores, name, len(y)) for name in SCORES.columns if name != "molecule_id"}
    structure |= {f"{name}_flag": structure[f"{name}_flag"] == 1 for name in STRUCTURE}
    domain = Domain.load(domain_path)
    # a model that diverged overflows; what comes of it is None
    with np.errstate(over="ignore", invalid="ignore"):
        predictors = list_predictors(list(predictions), y_pred, y_std, y, fold == "valid")
        judged = [judge_predictor(y, fold, each, domain, structure) for each in predictors]
    described = {"model": model, "unit": unit, **describe_benchmark(molecules, fold), "confidence": CONFIDENCE}
    write_json(out_path, described | {"predictors": judged})


def align(table: pa.Table, column: str, n: int) -> np.ndarray:
    """A column in the order of the n molecules, float64 [n]; NaN where the table has none."""
    values = np.full(n, np.nan)
    values[table["molecule_id"].to_numpy()] = table[column].to_numpy()
    return values


def list_rows(content: Mapping[str, Any]) -> Iterable[tuple[Any, ...]]:
    """The rows of the tidy table of what one file of :func:`judge_uncertainty` holds."""
    key = tuple(content["model"][name] for name in COLUMNS[:4])
    for predictor in content["predictors"]:
        for kind, interval in predictor["intervals"].items():
            offered = "yes" if kind == predictor["offered"] else "no"
            for fold, judged in interval["folds"].items():
                for measure in MEASURES:
                    ends = [judged[end] if measure == "coverage" else None for end in ("low", "high")]
                    unit = content["unit"] if measure == "width" else ""
                    place = (*key, predictor["name"], kind, offered, fold, measure, unit)
                    yield *place, judged[measure], *ends, judged["n"]
        folds = predictor["intervals"][PLAIN]["folds"]
        for flag, judged in predictor["flags"].items():
            place = (*key, predictor["name"], flag, "")
            yield *place, "ood", "auroc", "", judged["auroc"], None, None, folds["ood"]["n"]
            for fold in ("id", "ood"):
                yield *place, fold, "flagged", "", judged[fold], None, None, folds[fold]["n"]


def summarise_uncertainty(paths: Iterable[StrPath], out_path: StrPath) -> None:
    """Write the tidy table of the files of :func:`judge_uncertainty` as CSV, a row a measure.

    ``predictor`` is ``seed{seed}`` or ``mean`` of all seeds, ``kind`` the kind of interval or the name of a flag,
    ``offered`` whether users get that interval; ``low`` and ``high`` are the 95 % interval of a coverage.
    """
    rows = [row for path in paths for row in list_rows(read_json(path))]
    table = pd.DataFrame(rows, columns=COLUMNS)
    write_text(out_path, table.to_csv(index=False, float_format="%.10g", lineterminator="\n"))
