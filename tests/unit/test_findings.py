"""The tables of findings over a folder of results."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from benchmarks.findings import SEED, Results, ask, compare_ranks, correlate, list_costs
from boomlib.contracts import write_table
from boomlib.evaluation.comparison import RESAMPLED
from boomlib.evaluation.summary import COLUMNS
from boomlib.runs import Run

TASKS = [("tiny", "size"), ("tiny", "weight")]


def write_results(folder, errors):
    """A published folder of ``errors``: by model, by task (ID, OOD), or None where there is no run."""
    rng, rows = np.random.default_rng(0), []
    common = {task: rng.uniform(0.9, 1.1, (1000, 2)) for task in TASKS}
    for model, by_task in errors.items():
        for task, pair in zip(TASKS, by_task, strict=True):
            for fold, error in zip(("id", "ood"), pair or (), strict=False):
                for metric, value in (("rmse", error), ("normalised_rmse", error / 4)):
                    row = dict.fromkeys(COLUMNS, "") | dict(
                        zip(("dataset", "property"), task, strict=True), scheme="kde", model=model, fold=fold
                    )
                    rows.append(row | {"metric": metric, "mean": value, "n_seeds": 1})
            if pair:
                drawn = common[task] * np.asarray(pair)
                path = folder / f"runs/resamples/{Run(*task, 'kde', model, SEED).stem}.parquet"
                path.parent.mkdir(parents=True, exist_ok=True)
                write_table(pa.table({"id": drawn[:, 0], "ood": drawn[:, 1]}), path, RESAMPLED)
    pd.DataFrame(rows).to_csv(folder / "leaderboard.csv", index=False)


def test_a_ratio_is_paired_and_its_mean_is_over_the_tasks_that_both_have(tmp_path):
    write_results(tmp_path, {"new": [(1, 1), (1, 8)], "old": [(1, 2), (1, 2)], "half": [(1, 4), None]})
    results = Results(tmp_path)
    # the resamples move both models alike, so that of the ratio nothing is uncertain
    assert ask(results, "new", "old") == ["1.41 [1.41, 1.41]", "2", "0.500 [0.500, 0.500]", "4.00 [4.00, 4.00]"]
    assert ask(results, "new", "half") == ["0.250 [0.250, 0.250]", "1", "0.250 [0.250, 0.250]", "—"]
    assert ask(results, "new", "not there") == ["—", "0", "—", "—"]


def test_the_correlation_of_ranks_is_spearmans():
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(2, 7, 5))
    expected = [pd.Series(a).corr(pd.Series(b), method="spearman") for a, b in zip(first.T, second.T, strict=True)]
    assert correlate(first, second) == pytest.approx(expected)


def test_what_becomes_of_the_best_on_id_is_told_and_controls_are_no_models(tmp_path):
    errors = {name: [(k, 5 - k), (k, k)] for k, name in enumerate("abcd", start=1)} | {"oracle": [(0, 0), (0, 0)]}
    write_results(tmp_path, errors)
    assert compare_ranks(Results(tmp_path)) == [
        ["tiny/size", "4", "-1.000 [-1.00, -1.00]", "a", "4 of 4", "4.00"],
        ["tiny/weight", "4", "1.000 [1.00, 1.00]", "a", "1 of 4", "1.00"],
    ]


def test_costs_are_of_models_that_have_all_tasks(tmp_path):
    write_results(tmp_path, {"slow": [(1, 1), (1, 4)], "quick": [(1, 4), (1, 4)], "part": [(1, 1), None]})
    seconds = {"slow": (50, 70), "quick": (1, 3), "part": (9, 9)}
    runs = pd.DataFrame(
        [
            {"scheme": "kde", "model": model, "seed": SEED, "seconds": each, "peak_memory_mib": 1024 * each}
            for model, both in seconds.items()
            for each in both
        ]
    )
    assert list_costs(Results(tmp_path), runs) == [["quick", "2.00", "3.0", "1.00"], ["slow", "60.0", "70.0", "0.500"]]
