import numpy as np
import pandas as pd
import pytest

from boomlib.evaluation.score import score
from boomlib.evaluation.summary import COLUMNS, overall, pivot, read_results, read_summary, tidy_table, write_summary
from boomlib.files import write_json, write_text
from boomlib.runs import Run

Y = np.arange(12, dtype=float)
FOLD = np.array(["train"] * 4 + ["valid"] * 2 + ["id"] * 3 + ["ood"] * 3)
CONTROLS = {"oracle"}


def save(results, run, id_error, ood_error):
    """Metrics of a run whose errors are constant, so that its RMSE are exactly these."""
    y_pred = Y + np.where(FOLD == "ood", ood_error, id_error)
    content = {"run": vars(run), "unit": "eV"} | score(Y, FOLD, y_pred, resamples=5)
    write_json(results / "metrics" / f"{run.stem}.json", content)
    write_text(results / "predictions" / f"{run.stem}.parquet", "")


@pytest.fixture
def table(tmp_path):
    """Two tasks and two seeds: a and b complete, c lacks a task, d lacks a seed, the oracle is perfect."""
    errors = {"a": (2, 4), "b": (4, 2), "c": (1, None), "d": (3, 3), "oracle": (0, 0)}
    runs = []
    for model, by_task in errors.items():
        for task, error in zip(("x", "y"), by_task, strict=True):
            for seed in (0, 1):
                run = Run("data", task, "kde", model, seed)
                runs.append(run)
                if error is None:
                    record = {"error": "ValueError", "message": "bad |\n input", "log": "logs/a.log"}
                    write_json(tmp_path / "predictions" / run.stem / "failure.json", record)
                elif (model, seed) != ("d", 1):
                    save(tmp_path, run, error / 2, error + (0.5 - seed) * (model == "a"))
    write_summary(tmp_path, runs, tmp_path / "leaderboard.csv")
    return read_summary(tmp_path / "leaderboard.csv")


def cell(table, model, task, fold, metric):
    row = table[
        (table["model"] == model) & (table["property"] == task) & (table["fold"] == fold) & (table["metric"] == metric)
    ]
    assert len(row) == 1
    return row.iloc[0]


def test_paths():
    run = Run("qm9", "gap", "kde", "ridge", 3)
    assert run.stem == "qm9/gap/kde/ridge/seed3"
    assert run.task == "qm9/gap"


def test_mean_and_std_over_seeds(table):
    assert tuple(table.columns) == COLUMNS
    row = cell(table, "a", "x", "ood", "rmse")
    assert row["mean"] == pytest.approx(2)  # seeds 2.5 and 1.5
    assert row["std"] == pytest.approx(np.sqrt(0.5))
    assert (row["low"], row["high"]) == pytest.approx((2, 2))
    assert (row["unit"], row["direction"]) == ("eV", "min")
    assert (row["n_molecules"], row["n_seeds"], row["status"], row["reason"]) == (3, 2, "done", "")
    assert cell(table, "a", "x", "ood", "r2")["unit"] == ""
    floor = np.sqrt(np.mean((Y[9:] - 1.5) ** 2))
    assert cell(table, "a", "x", "ood", "normalised_rmse")["mean"] == pytest.approx(2 / floor)
    assert cell(table, "b", "x", "ood", "ood_id_ratio")["mean"] == pytest.approx(2)
    assert np.isnan(cell(table, "a", "x", "ood_interior", "rmse")["mean"])


def test_a_single_seed_has_no_std(table):
    row = cell(table, "d", "x", "ood", "rmse")
    assert np.isnan(row["std"])
    assert (row["n_seeds"], row["reason"]) == (1, "1 of 2 seeds")


def test_failed_and_missing_runs_are_rows(table):
    lost = table[table["status"] != "done"]
    assert list(zip(lost["model"], lost["property"], lost["status"], lost["reason"], strict=True)) == [
        ("c", "y", "failed", "seed 0: ValueError: bad | input"),
        ("c", "y", "failed", "seed 1: ValueError: bad | input"),
        ("d", "x", "missing", "seed 1: no result; see its log"),
        ("d", "y", "missing", "seed 1: no result; see its log"),
    ]


def test_undefined_in_one_seed_is_undefined(tmp_path):
    runs = [Run("data", "x", "kde", "a", seed) for seed in (0, 1)]
    good = {"unit": "eV"} | score(Y, FOLD, Y + 1, resamples=5)
    bad = {"unit": "eV"} | score(Y, FOLD, np.ones(12), resamples=5)
    table = tidy_table(runs, dict(zip(runs, (good, bad), strict=True)), [])
    assert np.isnan(cell(table, "a", "x", "ood", "pearson")["mean"])
    assert cell(table, "a", "x", "ood", "rmse")["mean"] > 1


def test_ranking(table):
    frame = overall(table, "kde", CONTROLS)
    # ranks on x: a 1, d 2, b 3; on y: b 1, d 2, a 3; c has x alone and would be first there
    assert frame["mean_rank"].to_dict() == pytest.approx(
        {"a": 2, "b": 2, "d": 2, "c": np.nan, "oracle": np.nan}, nan_ok=True
    )
    # equal mean ranks: a and b share a geometric mean of sqrt(2·4), d has 3
    assert list(frame.index) == ["a", "b", "d", "c", "oracle"]
    floor = np.sqrt(np.mean((Y[9:] - 1.5) ** 2))
    assert frame.loc["a", "normalised_rmse"] == pytest.approx(np.sqrt(8) / floor)
    assert frame.loc["oracle", "normalised_rmse"] == 0
    assert frame.loc["b", "ood_id_ratio"] == pytest.approx(2)
    assert frame.loc["c", ["normalised_rmse", "ood_id_ratio"]].isna().all()
    done = frame[["tasks_done", "tasks", "runs_done", "runs"]].T.to_dict("list")
    assert done == {
        "a": [2, 2, 4, 4],
        "b": [2, 2, 4, 4],
        "c": [1, 2, 2, 4],
        "d": [2, 2, 2, 4],
        "oracle": [2, 2, 4, 4],
    }


def test_equal_errors_share_the_mean_rank(tmp_path):
    runs = [Run("data", "x", "kde", model, 0) for model in ("late", "b", "a")]
    for run, error in zip(runs, (5, 2, 2), strict=True):
        save(tmp_path, run, 1, error)
    frame = overall(tidy_table(runs, *read_results(tmp_path, runs)), "kde", set())
    assert frame["mean_rank"].to_dict() == {"b": 1.5, "a": 1.5, "late": 3}


def test_pivot_keeps_models_and_tasks_without_results(table):
    wide = pivot(table, "kde", "rmse", "ood")
    assert list(wide.index) == ["a", "b", "c", "d", "oracle"]
    assert list(wide.columns) == [("data", "x"), ("data", "y")]
    assert np.isnan(wide.loc["c", ("data", "y")])
    assert wide.loc["d", ("data", "y")] == pytest.approx(3)


def test_nothing_done_at_all(tmp_path):
    runs = [Run("data", "x", "kde", "a", 0)]
    table = tidy_table(runs, *read_results(tmp_path, runs))
    frame = overall(table, "kde", set())
    assert frame["mean_rank"].isna().all()
    assert frame.loc["a", ["tasks_done", "runs_done", "runs"]].tolist() == [0, 0, 1]


def test_an_equal_table_is_not_written_again(tmp_path):
    runs = [Run("data", "x", "kde", "NA", 0)]
    save(tmp_path, runs[0], 1, 2)
    out = tmp_path / "leaderboard.csv"
    write_summary(tmp_path, runs, out)
    before = out.stat().st_mtime_ns, out.stat().st_ino
    write_summary(tmp_path, runs, out)
    assert (out.stat().st_mtime_ns, out.stat().st_ino) == before
    expected = tidy_table(runs, *read_results(tmp_path, runs))
    pd.testing.assert_frame_equal(read_summary(out), expected, check_dtype=False, rtol=1e-9)
