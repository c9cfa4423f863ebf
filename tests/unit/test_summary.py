import os

import numpy as np
import pandas as pd
import pytest
from conftest import write_resamples

from boomlib.evaluation.ranking import find_best, pivot, rank_models
from boomlib.evaluation.records import COLUMNS as RUN_COLUMNS
from boomlib.evaluation.records import read_runs, tabulate_runs
from boomlib.evaluation.score import score
from boomlib.evaluation.summary import COLUMNS, read_metrics, summarise, tabulate_metrics, write_summary
from boomlib.files import ContractError, read_json, write_json, write_text
from boomlib.runs import Run
from boomlib.unmade import mark_unmade, unmark
from boomlib.version import VERSION

Y = np.arange(12, dtype=float)
FOLD = np.array(["train"] * 4 + ["valid"] * 2 + ["id"] * 3 + ["ood"] * 3)
CONTROLS = {"oracle"}
SPLIT = "5917a0"
RECORD = {
    "seconds": 1.5,
    "peak_memory_mib": 200.25,
    "resumed": False,
    "device": "CPU (a kind)",
    "threads": 2,
    "commit": "c0ffee+",
    "code": "0dd",
    "molecules": {"train": 4},
    "versions": {"python": "3.11.2", "numpy": "2.4.1"},
}


def save(results, run, id_error, ood_error):
    """Metrics of a run whose errors are constant, so that its RMSE are exactly these."""
    y_pred = Y + np.where(FOLD == "ood", ood_error, id_error)
    content = {"run": vars(run), "unit": "eV", "version": VERSION, "split": SPLIT} | score(
        Y, FOLD, y_pred, resamples=5
    )
    write_json(results / "metrics" / f"{run.stem}.json", content)
    write_resamples(results, run, id=id_error, ood=ood_error)
    write_text(results / "predictions" / f"{run.stem}.parquet", "")
    write_json(results / "predictions" / run.stem / "run.json", RECORD)


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
                    write_json(tmp_path / "results/predictions" / run.stem / "failure.json", record)
                elif (model, seed) != ("d", 1):
                    save(tmp_path / "results", run, error / 2, error + (0.5 - seed) * (model == "a"))
    results = tmp_path / "results"
    write_summary(results, runs, results / "leaderboard.csv", results / "runs.csv", controls=CONTROLS)
    return read_metrics(results / "leaderboard.csv")


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
        ("d", "x", "missing", "seed 1: prepare_molecules has not run"),
        ("d", "y", "missing", "seed 1: prepare_molecules has not run"),
    ]


def test_undefined_in_one_seed_is_undefined(tmp_path):
    runs = [Run("data", "x", "kde", "a", seed) for seed in (0, 1)]
    good = {"unit": "eV"} | score(Y, FOLD, Y + 1, resamples=5)
    bad = {"unit": "eV"} | score(Y, FOLD, np.ones(12), resamples=5)
    table = tabulate_metrics(tabulate_runs(tmp_path, runs), dict(zip(runs, (good, bad), strict=True)))
    assert np.isnan(cell(table, "a", "x", "ood", "pearson")["mean"])
    assert cell(table, "a", "x", "ood", "rmse")["mean"] > 1


def test_ranking(table):
    frame = rank_models(table, "kde", CONTROLS)
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


def test_how_far_a_model_is_behind_the_best(table):
    """Seeds 2.5 and 1.5 of a count by their mean, and d by the seed that is done."""
    row = cell(table, "c", "x", "ood", "rmse")
    assert (row["behind_low"], row["behind_high"]) == (0, 0)
    assert cell(table, "a", "x", "ood", "rmse")["behind_low"] == pytest.approx(1)
    assert cell(table, "d", "x", "ood", "rmse")["behind_high"] == pytest.approx(2)
    assert cell(table, "a", "y", "id", "rmse")["behind_high"] == pytest.approx(1)
    for model, metric in (("oracle", "rmse"), ("d", "mae")):
        assert np.isnan(cell(table, model, "x", "ood", metric)["behind_low"])
    assert table.loc[table["fold"].isin(["valid", "ood_tail"]), "behind_low"].isna().all()


def test_best_are_all_that_the_molecules_do_not_tell_from_the_best(tmp_path):
    spread = np.linspace(-1, 1, 20)
    runs = [Run("data", "x", "kde", model, 0) for model in ("oracle", "a", "near", "far")]
    for run, error, resampled in zip(
        runs, (0, 2, 2.1, 2.2), (0, 2 + spread, 2.1 + 0.8 * spread, 2.2 + spread), strict=True
    ):
        save(tmp_path, run, 1, error)
        write_resamples(tmp_path, run, ood=resampled)
    table, _ = summarise(tmp_path, runs, controls=CONTROLS)
    # far is behind by 0.2 on each resample, though its RMSE alone is as uncertain as the others'
    assert cell(table, "far", "x", "ood", "rmse")["behind_low"] == pytest.approx(0.2)
    best = find_best(table, "kde", "ood", CONTROLS)["data", "x"]
    assert best.to_dict() == {"oracle": False, "a": True, "near": True, "far": False}
    without, _ = summarise(tmp_path, runs[:3], controls=CONTROLS)
    assert not find_best(without, "kde", "ood", CONTROLS).any(axis=None), "nobody, if that is all of them"
    old = table.drop(columns=["behind_low", "behind_high"])
    assert find_best(old, "kde", "ood", CONTROLS)["data", "x"].to_dict() == dict.fromkeys(best.index, False) | {
        "a": True
    }


@pytest.mark.parametrize(("untold", "ranks", "ratio"), [("x", {"b": 1, "a": 2}, 3), ("xy", {}, np.nan)])
def test_a_task_that_tells_no_models_apart_ranks_nobody(tmp_path, untold, ranks, ratio):
    runs = [Run("data", task, "kde", model, 0) for task in "xy" for model in ("a", "b", "oracle")]
    for run in runs:
        save(tmp_path, run, 1, 2 if (run.model == "a") == (run.property == "x") else 3)
        if run.property in untold:
            write_resamples(tmp_path, run)
    table, _ = summarise(tmp_path, runs, controls=CONTROLS)
    frame = rank_models(table, "kde", CONTROLS)
    assert frame["mean_rank"].dropna().to_dict() == ranks
    assert frame.loc["a", "ood_id_ratio"] == pytest.approx(ratio, nan_ok=True)
    assert not find_best(table, "kde", "ood", CONTROLS)["data", "x"].any()
    assert (frame["tasks_done"] == 2).all()


def test_who_lacks_a_task_that_ranks_nobody_is_ranked(tmp_path):
    runs = [Run("data", task, "kde", model, 0) for task in "xy" for model in ("a", "b")]
    runs += [Run("data", "y", "kde", "c", 0)]
    for run in runs:
        save(tmp_path, run, 1, {"a": 3, "b": 2, "c": 4}[run.model])
        if run.property == "x":
            write_resamples(tmp_path, run)
    frame = rank_models(summarise(tmp_path, runs, controls=CONTROLS)[0], "kde", CONTROLS)
    assert frame["mean_rank"].to_dict() == {"b": 1, "a": 2, "c": 3}
    assert frame["ood_id_ratio"].to_dict() == {"b": 2, "a": 3, "c": 4}


def test_equal_errors_share_the_mean_rank(tmp_path):
    runs = [Run("data", "x", "kde", model, 0) for model in ("late", "b", "a")]
    for run, error in zip(runs, (5, 2, 2), strict=True):
        save(tmp_path, run, 1, error)
    frame = rank_models(summarise(tmp_path, runs, controls=CONTROLS)[0], "kde", set())
    assert frame["mean_rank"].to_dict() == {"b": 1.5, "a": 1.5, "late": 3}


def test_pivot_keeps_models_and_tasks_without_results(table):
    wide = pivot(table, "kde", "rmse", "ood")
    assert list(wide.index) == ["a", "b", "c", "d", "oracle"]
    assert list(wide.columns) == [("data", "x"), ("data", "y")]
    assert np.isnan(wide.loc["c", ("data", "y")])
    assert wide.loc["d", ("data", "y")] == pytest.approx(3)


def test_nothing_done_at_all(tmp_path):
    runs = [Run("data", "x", "kde", "a", 0)]
    table, _ = summarise(tmp_path, runs, controls=CONTROLS)
    frame = rank_models(table, "kde", set())
    assert frame["mean_rank"].isna().all()
    assert frame.loc["a", ["tasks_done", "runs_done", "runs"]].tolist() == [0, 0, 1]


def test_what_is_written_is_read(tmp_path):
    runs = [Run("data", "x", "kde", "NA", seed) for seed in (0, 1)]
    save(tmp_path, runs[0], 1, 2)
    write_summary(tmp_path, runs, tmp_path / "leaderboard.csv", tmp_path / "runs.csv", controls=CONTROLS)
    metrics, records = summarise(tmp_path, runs, controls=CONTROLS)
    found = read_metrics(tmp_path / "leaderboard.csv")
    pd.testing.assert_frame_equal(found, metrics, check_dtype=False, rtol=1e-9)
    pd.testing.assert_frame_equal(read_runs(tmp_path / "runs.csv"), records)


@pytest.mark.parametrize(
    ("key", "value", "shown"), [("version", "0.1.0", "0.1.0"), ("version", None, "none"), ("split", "0ther", "0ther")]
)
def test_scores_of_another_version_or_split_stand_beside_no_others(tmp_path, key, value, shown):
    runs = [Run("data", "x", "kde", model, 0) for model in ("a", "b")]
    for run in runs:
        save(tmp_path, run, 1, 2)
    metrics, _ = summarise(tmp_path, runs, controls=CONTROLS)
    assert set(metrics[key]) == {{"version": VERSION, "split": SPLIT}[key]}
    path = tmp_path / f"metrics/{runs[1].stem}.json"
    write_json(path, read_json(path) | {key: value})
    with pytest.raises(ContractError, match=rf"one {key} alone .* and {shown} \(metrics/{runs[1].stem}\.json\)"):
        summarise(tmp_path, runs, controls=CONTROLS)


def test_each_task_has_a_split_of_its_own(tmp_path):
    runs = [Run("data", name, "kde", "a", 0) for name in ("x", "y")]
    for run in runs:
        save(tmp_path, run, 1, 2)
    path = tmp_path / f"metrics/{runs[1].stem}.json"
    write_json(path, read_json(path) | {"split": "0ther"})
    assert list(summarise(tmp_path, runs, controls=CONTROLS)[1]["split"]) == [SPLIT, "0ther"]


def test_a_row_a_run(tmp_path):
    runs = [Run("data", "x", "kde", model, 0) for model in ("tabular", "network", "lost")]
    for run in runs[:2]:
        save(tmp_path, run, 1, 2)
    folder = tmp_path / "predictions" / runs[1].stem
    network = {"peak_gpu_memory_mib": 3.5, "prediction_device": "A GPU", "pretrained": None}
    write_json(folder / "run.json", RECORD | network)
    write_text(folder / "history.csv", "epoch,valid_rmse\n1,nan\n2,1.0\n3,2.0\n")
    table = tabulate_runs(tmp_path, runs)
    assert tuple(table.columns) == RUN_COLUMNS
    tabular, trained, lost = table.to_dict("records")
    assert tabular == dict.fromkeys(RUN_COLUMNS, "") | {
        "dataset": "data",
        "property": "x",
        "scheme": "kde",
        "model": "tabular",
        "seed": "0",
        "status": "done",
        "n_train": "4",
        "seconds": "1.5",
        "peak_memory_mib": "200.25",
        "resumed": "False",
        "device": "CPU (a kind)",
        "threads": "2",
        "commit": "c0ffee+",
        "code": "0dd",
        "version": VERSION,
        "split": SPLIT,
        "versions": "python==3.11.2 numpy==2.4.1",
    }
    new = {key: trained[key] for key in trained if trained[key] != tabular[key]}
    assert new == {
        "model": "network",
        "peak_gpu_memory_mib": "3.5",
        "prediction_device": "A GPU",
        "pretrained": "scratch",
        "epochs": "3",
        "epoch_kept": "2",
    }
    assert (lost["status"], lost["device"]) == ("missing", "")


def test_a_missing_run_names_the_stage_and_its_log(tmp_path):
    run, results = Run("data", "x", "kde", "a", 0), tmp_path / "results"

    def outcome():
        return tuple(tabulate_runs(results, [run])[["status", "reason", "log"]].iloc[0])

    assert outcome() == ("missing", "prepare_molecules has not run", "")
    write_text(results / "data/data/molecules.parquet", "")
    assert outcome() == ("missing", "make_split has not run", "")
    write_text(results / "tasks/data/x/kde.parquet", "")
    assert outcome() == ("missing", "train has not run", "")
    log = "logs/train/data/x/kde/a/seed0.log"
    write_text(tmp_path / log, "epoch 1\n")
    killed = "train: ended without a reason, so it was killed (for its memory or its time?) or crashed; its log ends: "
    assert outcome() == ("missing", f"{killed}epoch 1", log)
    save(results, run, 1, 2)
    assert outcome() == ("done", "", "")
    (results / f"metrics/{run.stem}.json").unlink()
    assert outcome() == ("missing", "evaluate has not run", "")
    write_json(results / "predictions" / run.stem / "failure.json", {"error": "E", "message": "no", "log": None})
    assert outcome() == ("failed", "E: no", "")


def test_a_run_is_not_done_while_what_it_stands_on_is_to_be_made(tmp_path):
    run, results = Run("data", "x", "kde", "a", 0), tmp_path / "results"
    for file in ("data/data/molecules.parquet", "tasks/data/x/kde.parquet"):
        write_text(results / file, "")
    save(results, run, 1, 2)
    needs = [str(results / "features/data/f.parquet"), str(results / "tasks/data/x/kde.parquet")]

    def outcome():
        return tuple(tabulate_runs(results, [run], {run: needs})[["status", "reason", "log"]].iloc[0])

    assert outcome() == ("done", "", "")
    mark_unmade(needs[1:], "logs/make_split/data/x/kde.log")
    assert outcome() == ("missing", "make_split" + UNKNOWN, "")
    mark_unmade(needs[:1], "logs/featurize/data/f.log")
    write_text(tmp_path / "logs/featurize/data/f.log", "Traceback\nerror: MemoryError\n")
    assert outcome() == ("missing", "featurize: MemoryError", "logs/featurize/data/f.log")
    unmark(needs)
    assert outcome() == ("done", "", "")


UNKNOWN = " has not run, or failed before its log began: then the terminal says why"
STAGES = {  # logs of the stages before a training, each with what it makes
    "logs/download_source/x.csv.log": "downloads/x.csv",
    "logs/prepare_molecules/data.log": "data/data/molecules.parquet",
    "logs/featurize/data/f.log": "features/data/f.parquet",
    "logs/make_split/data/x/kde.log": "tasks/data/x/kde.parquet",
    "logs/make_corpus/kde.log": "corpora/kde.parquet",
    "logs/pretrain/kde/a.log": "pretrained/mlm/kde/a/model.safetensors",
    "logs/download_checkpoint/a--b@0.log": "pretrained/hub/a--b@0/model.safetensors",
    "logs/train/data/x/kde/a/seed0.log": "predictions/data/x/kde/a/seed0.parquet",
}


@pytest.mark.parametrize("failed", STAGES)
def test_a_run_tells_why_the_stage_that_it_waits_for_has_failed(tmp_path, failed):
    """Those behind it have not run, whatever earlier commands have left: their logs, or a failure of the training."""
    run, results = Run("data", "x", "kde", "a", 0), tmp_path / "results"
    needs = [str(results / file) for file in STAGES.values()]
    after = list(STAGES)[list(STAGES).index(failed) :]
    for log in after:
        write_text(tmp_path / log, "error: of an earlier command")
        os.utime(tmp_path / log, (1e9, 1e9))
        mark_unmade([str(results / STAGES[log])], log)
    record = {"error": "ValueError", "message": "of an earlier command", "log": "logs/a.log"}
    write_json(results / "predictions" / run.stem / "failure.json", record)
    write_text(tmp_path / failed, "12 rows\nerror: x.csv, line 3: no number; correct it\n")
    found = tabulate_runs(results, [run], {run: needs}).iloc[0]
    expected = ("missing", f"{failed.split('/')[1]}: x.csv, line 3: no number; correct it", failed)
    if failed.startswith("logs/train/"):
        expected = ("failed", "ValueError: of an earlier command", "logs/a.log")
    assert tuple(found[["status", "reason", "log"]]) == expected


def test_a_log_of_an_earlier_command_tells_nothing_of_this_one(tmp_path):
    run, results = Run("data", "x", "kde", "a", 0), tmp_path / "results"
    need, log = str(results / "tasks/data/x/kde.parquet"), "logs/make_split/data/x/kde.log"
    write_text(tmp_path / log, "error: of an earlier command")
    os.utime(tmp_path / log, (1e9, 1e9))
    mark_unmade([need], log)
    found = tabulate_runs(results, [run], {run: [need]}).iloc[0]
    assert tuple(found[["reason", "log"]]) == ("make_split" + UNKNOWN, "")
