"""Molecules that a source has in several spellings, and that lie in train and in a test fold."""

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from boomlib.contracts import read_split


def list_doubles(results_dir: Path, records: pd.DataFrame, datasets: Mapping[str, Mapping]) -> list[str]:
    """A sentence on each task that tests on molecules which train or valid has in another spelling.

    Args:
        results_dir: the folder of results, for ``doubles.csv`` of the datasets and for the splits.
        records: the table of runs, see :func:`boomlib.evaluation.records.tabulate_runs`.
        datasets: registry entries by dataset.
    """
    sentences = []
    for dataset, name, scheme in records[["dataset", "property", "scheme"]].drop_duplicates().itertuples(index=False):
        doubles = results_dir / "data" / dataset / "doubles.csv"
        split = results_dir / "splits" / dataset / name / f"{scheme}.parquet"
        if doubles.is_file() and split.is_file():
            fold, _ = read_split(split)
            count = count_tested(read_groups(doubles, len(fold)), fold)
            label = datasets[dataset]["properties"][name].get("label", name)
            if count:
                tested = int(np.isin(fold, ("id", "ood")).sum())
                task = f"{datasets[dataset]['label']}, {label}, `{scheme}`"
                sentences.append(f"{task}: {count:,} of {tested:,} molecules in ID and OOD")
    return sentences


def read_groups(path: Path, n: int) -> np.ndarray:
    """For each of ``n`` molecules the id of the first that is the same molecule, int64 [n]."""
    groups = np.arange(n)
    with path.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            groups[int(row["molecule_id"])] = int(row["same_as"])
    return groups


def count_tested(groups: np.ndarray, fold: np.ndarray) -> int:
    """How many molecules of id and ood are in train or valid as well, by groups of the same molecule."""
    seen = groups[np.isin(fold, ("train", "valid"))]
    return int(np.isin(groups[np.isin(fold, ("id", "ood"))], seen).sum())
