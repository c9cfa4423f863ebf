"""The curves of the error on valid over molecules seen, of a folder of results."""

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from matplotlib.image import imread

from benchmarks.learning_curves import draw, find_last_fall, read_curves, tabulate
from boomlib.evaluation.records import COLUMNS
from boomlib.files import ContractError
from boomlib.runs import Run


@pytest.fixture
def make(tmp_path):
    """A folder of runs of ``errors``, RMSE on valid after each epoch by model and seed; of others the failure."""

    def write(errors, place="", scheme="kde"):
        rows = []
        for (model, seed), by_epoch in errors.items():
            run = Run("csd10k", "hof", scheme, model, seed)
            told = {"dataset": run.dataset, "property": run.property, "scheme": scheme, "model": model, "seed": seed}
            rows.append(
                dict.fromkeys(COLUMNS, "") | told | {"status": "done" if by_epoch else "failed", "n_train": 100}
            )
            if by_epoch and by_epoch[0] is not None:
                path = tmp_path / place / f"predictions/{run.stem}/history.csv"
                path.parent.mkdir(parents=True)
                epochs = range(1, 1 + len(by_epoch))
                pd.DataFrame({"epoch": epochs, "valid_rmse": by_epoch}).to_csv(path, index=False)
        pd.DataFrame(rows).to_csv(tmp_path / "runs.csv", index=False)
        return tmp_path

    return write


@pytest.mark.parametrize("place", ["", "runs"], ids=["results", "a publication"])
def test_a_curve_is_of_the_first_seed_that_is_done_over_the_molecules_of_train_seen(make, place):
    errors = {("mlp", 0): [], ("mlp", 1): [4.0, 2.0], ("mlp", 2): [9.0], ("ridge", 0): [None]}
    curves = read_curves(make(errors, place), "kde")
    assert {task: list(of_task) for task, of_task in curves.items()} == {"csd10k/hof": ["mlp"]}
    seen, found = curves["csd10k/hof"]["mlp"]
    assert (seen.tolist(), found.tolist()) == ([100, 200], [4.0, 2.0])


def test_of_a_training_in_two_phases_the_first_counts(make):
    folder = make({("nlmtp", 0): [4.0, 3.0, np.nan, 3.0]})
    history = next(folder.rglob("history.csv"))
    pd.read_csv(history).assign(valid_gap=[np.nan, np.nan, np.nan, 0.1]).to_csv(history, index=False, na_rep="nan")
    seen, found = read_curves(folder, "kde")["csd10k/hof"]["nlmtp"]
    assert (seen.tolist(), found.tolist()) == ([100, 200], [4.0, 3.0])


@pytest.mark.parametrize(
    ("errors", "fall"),
    [
        ([5, 4, 4, 4, 4, 4, 4, 4, 3, 4], 0.25),  # of ten epochs the last two are the last fifth
        ([5, 4, 4, 4, 4, 4, 4, 2, 3, 4], 0.0),
        ([5, 5, 5, 4, 2, 1], 1 - 1 / (4 * 0.5**0.8)),  # of six, the last and a fifth of that before it
        ([*range(80, 0, -1)], 1 - 1 / 17),
        ([5, 4, 4, 4], 0.0),
    ],
)
def test_what_the_last_fifth_has_won_is_told_against_the_best_before(errors, fall):
    assert find_last_fall((np.arange(1, 1 + len(errors)) * 50, np.array(errors, float))) == pytest.approx(fall)


def test_a_training_of_one_epoch_has_no_last_fifth():
    assert np.isnan(find_last_fall((np.array([50]), np.array([3.0]))))


def test_who_falls_by_two_per_cent_is_bold(make):
    errors = {("mlp", 0): [5, 4, 4, 4, 3.919], ("egnn", 0): [5, 4, 4, 4, 3.921], ("tgnn", 0): [5]}
    table = tabulate(read_curves(make(errors), "kde"))
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if "-" not in line]
    assert cells == [["Model", "hof"], ["mlp", "**2.0 %**"], ["egnn", "2.0 %"], ["tgnn", "—"]]


def test_a_model_that_a_task_lacks_and_tasks_of_one_name_are_told_apart():
    curve = (np.array([50, 100]), np.array([4.0, 4.0]))
    table = tabulate({"one/gap": {"mlp": curve}, "two/gap": {"egnn": curve, "mlp": curve}})
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if "-" not in line]
    assert cells == [["Model", "one/gap", "two/gap"], ["mlp", "0.0 %", "0.0 %"], ["egnn", "—", "0.0 %"]]


@pytest.mark.parametrize("tasks", [1, 5, 7])
def test_a_panel_a_task_is_drawn(tmp_path, tasks):
    curves = {f"data/{n}": {"mlp": (np.array([50, 100]), np.array([4.0, 3.0 + n]))} for n in range(tasks)}
    draw(curves, tmp_path / "all.png")
    curves["data/0"]["egnn"] = (np.array([50, 100]), np.array([2.0, 1.0]))
    draw(curves, tmp_path / "more.png")
    assert not np.array_equal(imread(tmp_path / "all.png"), imread(tmp_path / "more.png"))


def test_a_folder_without_histories_is_told(make, tmp_path):
    with pytest.raises(ContractError, match=r"runs.csv: no such file; give a publication that keeps its runs"):
        read_curves(tmp_path / "nowhere", "kde")
    with pytest.raises(ContractError, match="no history of epochs of the scheme scaffold; give a publication"):
        read_curves(make({("mlp", 0): [5, 4]}), "scaffold")
    with pytest.raises(ContractError, match="graphs: no history of epochs of the scheme kde"):
        read_curves(ROOT / "docs/benchmarks/graphs", "kde")
