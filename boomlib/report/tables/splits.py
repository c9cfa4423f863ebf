"""The splits: sizes of the folds, and hashes by which two splits can be told apart."""

from collections.abc import Mapping

import pandas as pd

from boomlib.report.numbers import NONE
from boomlib.report.tables.markdown import format_table

FOLDS = {"valid": "valid", "id": "ID", "ood": "OOD", "ood_tail": "OOD tail", "ood_interior": "OOD interior"}
COLUMNS = ("Task", "Property", "Scheme", "Unit", "Kind", "train", *FOLDS.values(), "Hash")


def tabulate_splits(metrics: pd.DataFrame, records: pd.DataFrame, datasets: Mapping[str, Mapping]) -> str:
    """Number of molecules in each fold, and the hash, of every task's split; — where no run of it has finished.

    Args:
        metrics: the tidy table, see :func:`boomlib.evaluation.summary.tabulate_metrics`.
        records: the table of runs, see :func:`boomlib.evaluation.records.tabulate_runs`.
        datasets: registry entries by dataset.
    """
    split = ["dataset", "property", "scheme"]
    done = records[records["status"] == "done"].groupby(split)[["n_train", "split"]].first()
    tested = metrics[metrics["metric"] == "rmse"].groupby([*split, "fold"])["n_molecules"].first()
    rows = []
    for dataset, name, scheme in records[split].drop_duplicates().itertuples(index=False, name=None):
        described = datasets[dataset]["properties"][name]
        counts = [done["n_train"].get((dataset, name, scheme))]
        counts += [tested.get((dataset, name, scheme, fold)) for fold in FOLDS]
        sizes = [NONE if count is None else f"{int(count):,}" for count in counts]
        hash_of_split = done["split"].get((dataset, name, scheme)) or NONE
        label = described.get("label", name)
        rows.append([f"{dataset}/{name}", label, scheme, described["unit"], described["kind"], *sizes, hash_of_split])
    return format_table(COLUMNS, rows, text_columns=5)
