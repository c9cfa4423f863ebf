"""Contrasts against the true difference of matched pairs."""

import numpy as np
import pyarrow as pa

from boomlib.evaluation.metrics import pearson, rmse
from boomlib.evaluation.score import number


def pair_groups(fold: np.ndarray, pairs: pa.Table) -> dict[str, np.ndarray]:
    """``all`` pairs, and those of which neither molecule is in train (``unseen``), bool [pairs] each."""
    left, right = (fold[pairs[side].to_numpy()] for side in ("left", "right"))
    return {"all": np.ones(len(left), bool), "unseen": (left != "train") & (right != "train")}


def compare(predicted: np.ndarray, true: np.ndarray) -> dict[str, float | None]:
    """Means, share of equal signs, Pearson r and RMSE; None where there are fewer than two pairs."""
    if len(true) < 2:
        return dict.fromkeys(("mean_true", "mean_predicted", "same_sign", "pearson_r", "rmse", "rmse_of_mean"))
    return {
        "mean_true": float(true.mean()),
        "mean_predicted": float(predicted.mean()),
        "same_sign": float((np.sign(predicted) == np.sign(true)).mean()),
        "pearson_r": number(pearson(true, predicted)),
        "rmse": rmse(true, predicted),
        # what predicting the pairs' own mean for all of them would reach
        "rmse_of_mean": float(true.std()),
    }
