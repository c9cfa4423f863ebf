"""The tidy table as models by tasks, and the overall ranking of the models."""

from collections.abc import Collection

import numpy as np
import pandas as pd
from scipy.stats import rankdata

TASK = ["dataset", "property"]


def pivot(table: pd.DataFrame, scheme: str, metric: str, fold: str, column: str = "mean") -> pd.DataFrame:
    """Models by tasks of one column of the tidy table; NaN where there is no result.

    Index and columns are all models and all (dataset, property) of the scheme, in the table's order.
    """
    table = table[table["scheme"] == scheme]
    models = pd.unique(table["model"])
    tasks = pd.MultiIndex.from_frame(table[TASK].drop_duplicates())
    chosen = table[(table["metric"] == metric) & (table["fold"] == fold)]
    return chosen.set_index(["model", *TASK])[column].unstack(TASK).reindex(index=models, columns=tasks)


def find_untold(table: pd.DataFrame, scheme: str, controls: Collection[str], fold: str = "ood") -> np.ndarray:
    """The tasks on whose fold models cannot be told apart, bool [tasks], in the order of :func:`pivot`.

    None of them in a table of version 0.1.0, which does not tell.
    """
    rmse = pivot(table, scheme, "rmse", fold)
    done = rmse[~rmse.index.isin(controls)].notna().any().to_numpy()
    if "behind_low" not in table:
        return np.zeros_like(done)
    return done & pivot(table, scheme, "rmse", fold, "behind_low").isna().all().to_numpy()


def find_best(table: pd.DataFrame, scheme: str, fold: str, controls: Collection[str]) -> pd.DataFrame:
    """Which models are best in a fold, bool, models by tasks in the order of :func:`pivot`; controls never are.

    On each task the model of least RMSE, and all others whose 95 % paired interval of the difference to it holds 0;
    none where these are all models. In a table of version 0.1.0, which has no interval, the first alone.
    """
    rmse = pivot(table, scheme, "rmse", fold)
    rmse[rmse.index.isin(controls)] = np.nan
    if "behind_low" not in table:
        return rmse == rmse.min()
    best = pivot(table, scheme, "rmse", fold, "behind_low") <= 0
    best &= rmse.notna()
    return best & (best.sum() < rmse.notna().sum())


def rank_models(table: pd.DataFrame, scheme: str, controls: set[str]) -> pd.DataFrame:
    """The ranking of one scheme, best model first.

    Controls are never ranked and stand last. Tasks on which models cannot be told apart (:func:`find_untold`)
    rank nobody and are in no mean. A model is ranked if it has the OOD RMSE of every other task, for ranks over
    different tasks do not compare; one that lacks such a task has no mean at all and stands after the ranked ones.

    Args:
        table: the tidy table.
        scheme: the scheme.
        controls: names of the models that bound the leaderboard.

    Returns:
        By model: ``control``; ``mean_rank``, the mean over tasks of the rank of its OOD RMSE (mean over
        seeds) among the ranked models, where equals share the mean of their ranks; ``normalised_rmse``, the
        geometric mean over tasks of OOD RMSE over floor; ``ood_id_ratio``, the mean over tasks of OOD RMSE
        over ID RMSE; ``tasks_done`` of ``tasks``; ``runs_done`` of ``runs``.
    """
    rmse = pivot(table, scheme, "rmse", "ood")
    normalised = pivot(table, scheme, "normalised_rmse", "ood")
    ratio = pivot(table, scheme, "ood_id_ratio", "ood")
    done_seeds = pivot(table, scheme, "rmse", "ood", "n_seeds").sum(axis=1)
    lost = table[(table["scheme"] == scheme) & (table["metric"] == "")].groupby("model").size()

    frame = pd.DataFrame(index=rmse.index)
    frame["control"] = frame.index.isin(controls)
    compared = ~find_untold(table, scheme, controls)
    complete = rmse.loc[:, compared].notna().all(axis=1)
    ranked = complete & ~frame["control"]
    if compared.any():
        ranks = rankdata(rmse.loc[ranked, compared].to_numpy(), axis=0)
        frame["mean_rank"] = pd.Series(ranks.mean(axis=1), index=rmse.index[ranked])
        with np.errstate(divide="ignore"):
            frame["normalised_rmse"] = np.exp(np.log(normalised.loc[:, compared].to_numpy()).mean(axis=1))
        frame["ood_id_ratio"] = ratio.loc[:, compared].to_numpy().mean(axis=1)
    else:
        frame[["mean_rank", "normalised_rmse", "ood_id_ratio"]] = np.nan
    frame["tasks_done"] = rmse.notna().sum(axis=1)
    frame["tasks"] = rmse.shape[1]
    frame["runs_done"] = done_seeds.astype(int)
    frame["runs"] = frame["runs_done"] + lost.reindex(frame.index, fill_value=0)
    order = frame.assign(lacking=-frame["tasks_done"]).sort_values(
        ["control", "mean_rank", "lacking", "normalised_rmse"], kind="stable"
    )
    return frame.loc[order.index]
