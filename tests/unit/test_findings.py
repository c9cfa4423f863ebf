"""The tables of findings over a folder of results."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml
from conftest import ROOT

from benchmarks.findings import QUESTIONS, Results, ask, compare_ranks, list_costs
from boomlib.contracts import write_table
from boomlib.evaluation.comparison import RESAMPLED
from boomlib.evaluation.records import COLUMNS as RECORDED
from boomlib.evaluation.summary import COLUMNS
from boomlib.files import ContractError
from boomlib.runs import Run

TASKS = [("qm9_sample", "gap"), ("csd10k", "hof")]
MODELS = ["oracle", "ridge", "mlp", "random_forest", "gradient_boosting", "ridge_boost", "committee"]


@pytest.fixture
def make(tmp_path):
    """Results of ``errors``: by model and task (ID, OOD) of each seed, or None where no run is done."""

    def write(errors, seconds=None):
        table, runs, drawn = [], [], {}
        for number, (model, by_task) in enumerate(errors.items()):
            for task, seeds in zip(TASKS, by_task, strict=True):
                place = dict(zip(("dataset", "property"), task, strict=True)) | {"scheme": "kde", "model": model}
                for fold, error in zip(("id", "ood"), np.mean(seeds, axis=0) if seeds else (), strict=False):
                    row = dict.fromkeys(COLUMNS, "") | place | {"fold": fold, "n_seeds": len(seeds)}
                    table += [row | {"metric": "rmse", "mean": error}]
                    table += [row | {"metric": "normalised_rmse", "mean": error / 4}]
                for seed, pair in enumerate(seeds or [None]):
                    done = {"status": "done" if pair else "failed", "peak_memory_mib": 1024 * (seed + 1)}
                    took = (seconds or {}).get(model, [1.0] * 9)[TASKS.index(task) + seed]
                    runs.append(dict.fromkeys(RECORDED, "") | place | {"seed": seed, "seconds": took} | done)
                    if pair is None:
                        continue
                    noise = np.random.default_rng([number, seed, *map(ord, task[0])]).normal(1, 0.1, (1000, 2))
                    drawn[model, task, seed] = noise * pair
                    path = tmp_path / f"resamples/{Run(*task, 'kde', model, seed).stem}.parquet"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    columns = drawn[model, task, seed].T
                    write_table(pa.table(dict(zip(("id", "ood"), columns, strict=True))), path, RESAMPLED)
        pd.DataFrame(table).to_csv(tmp_path / "leaderboard.csv", index=False)
        pd.DataFrame(runs).to_csv(tmp_path / "runs.csv", index=False)
        config = {"tasks": ["/".join(task) for task in TASKS], "models": MODELS}
        (tmp_path / "config.yaml").write_text(json.dumps(config))
        return tmp_path, drawn

    return write


def interval(values):
    return "[{:#.3g}, {:#.3g}]".format(*np.quantile(values, (0.025, 0.975)))


def test_a_ratio_has_the_interval_of_both_models_on_the_same_molecules(make):
    folder, drawn = make({"ridge": [[(1, 1)], [(1, 8)]], "mlp": [[(1, 2)], [(1, 2)]], "ridge_boost": [[(1, 4)], None]})
    results = Results(folder, "kde")
    mean, tasks, gap, hof = ask(results, "ridge", "mlp")
    ratios = [drawn["ridge", task, 0][:, 1] / drawn["mlp", task, 0][:, 1] for task in TASKS]
    assert [gap, hof] == [f"0.500 {interval(ratios[0])}", f"4.00 {interval(ratios[1])}"]
    assert (mean.split()[0], tasks) == ("1.41", "2")
    # of two tasks with other molecules the mean is less uncertain than either
    width = np.std(np.log(ratios), axis=1)
    low, high = (np.log(float(end)) for end in mean.split("[")[1].rstrip("]").split(", "))
    assert (high - low) / 3.92 == pytest.approx(np.hypot(*width) / 2, rel=0.1)
    mean, tasks, gap, hof = ask(results, "ridge", "ridge_boost")
    assert (mean, tasks, hof) == (gap, "1", "—")
    assert ask(results, "ridge", "mlp", "csd10k")[1:3] == ["1", "—"]
    assert ask(results, "ridge", "not there") == ["—", "0", "—", "—"]


def test_of_several_seeds_the_mean_counts_in_the_ratio_and_in_its_interval(make):
    folder, drawn = make({"mlp": [[(1, 2), (1, 4)], None], "ridge": [[(1, 1)], None]})
    ratios = (drawn["mlp", TASKS[0], 0] + drawn["mlp", TASKS[0], 1])[:, 1] / 2 / drawn["ridge", TASKS[0], 0][:, 1]
    assert ask(Results(folder, "kde"), "mlp", "ridge")[2] == f"3.00 {interval(ratios)}"


def test_what_becomes_of_the_best_on_id_is_told_and_controls_are_no_models(make):
    errors = {name: [[(k, 7 - k)], [(k, k)] if k < 5 else None] for k, name in enumerate(MODELS[1:6], start=1)}
    folder, _ = make({"oracle": [[(0, 0)], [(0, 0)]]} | errors)
    assert compare_ranks(Results(folder, "kde")) == [
        ["gap", "5", "-1.000", "ridge", "5 of 5", "3.00"],
        # of four models no order is beyond chance
        ["hof", "4", "—", "—", "—", "—"],
    ]


def test_costs_tell_how_many_tasks_a_model_has(make):
    errors = {"mlp": [[(1, 1), (1, 1)], [(1, 4)]], "ridge": [[(1, 1)], None], "committee": [[(1, 1)], [(1, 1)]]}
    folder, _ = make({"oracle": [[(0, 0)], [(0, 0)]]} | errors, {"mlp": [5.0, 100.0, 7.0], "ridge": [9.0, 9.0]})
    assert list_costs(Results(folder, "kde")) == [
        ["mlp", "100", "2.0", "2 of 2", "0.500"],
        ["ridge", "9.00", "1.0", "1 of 2", "—"],
        # whose own run has none of the trainings of what it reads
        ["committee", "—", "1.0", "2 of 2", "0.250"],
    ]


def test_a_folder_without_what_is_needed_is_named(make, tmp_path):
    with pytest.raises(ContractError, match=r"leaderboard.csv: no such file; give results/"):
        Results(tmp_path / "nowhere", "kde")
    with pytest.raises(ContractError, match="csd10k: it keeps no runs; give a publication made with --merge"):
        Results(ROOT / "docs/benchmarks/csd10k", "kde")
    with pytest.raises(ContractError, match="no scheme scaffold; it has kde"):
        Results(make({"ridge": [[(1, 1)], [(1, 1)]]})[0], "scaffold")


def test_the_questions_are_of_models_of_the_configuration():
    models = yaml.safe_load((ROOT / "config/all.yaml").read_text())["models"]
    assert [pair for _, *pair, _ in QUESTIONS if not set(pair) <= set(models)] == []
