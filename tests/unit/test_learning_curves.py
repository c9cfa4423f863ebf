"""The curves of the error on valid over molecules seen, of a folder of results."""

import numpy as np
import pandas as pd
import pytest
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


@pytest.mark.parametrize(
    ("errors", "fall"),
    [
        ([5, 4, 4, 4, 4, 4, 4, 4, 3, 4], 0.25),  # of ten epochs the last two are the last fifth
        ([5, 4, 4, 4, 4, 4, 4, 2, 3, 4], 0.0),
        ([5, np.nan, 4, 4, 3], 0.25),  # an epoch whose error was no number was not kept
    ],
)
def test_what_the_last_fifth_has_won_is_told_against_the_best_before(errors, fall):
    assert find_last_fall((np.arange(1, 1 + len(errors)) * 50, np.array(errors, float))) == pytest.approx(fall)


def test_who_still_learns_is_bold_and_a_short_training_has_no_last_fifth(make):
    errors = {("mlp", 0): [5, 4, 4, 4, 3], ("egnn", 0): [5, 4, 4, 4, 3.99], ("tgnn", 0): [5, 4]}
    table = tabulate(read_curves(make(errors), "kde"))
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    assert cells == [["mlp", "**25.0 %**"], ["egnn", "0.2 %"], ["tgnn", "—"]]


def test_all_curves_are_drawn(make, tmp_path):
    curves = read_curves(make({("mlp", 0): [5, 4, 3], ("egnn", 0): [6, 4, 2]}), "kde")
    draw(curves, tmp_path / "both.png")
    draw({task: {"mlp": of_task["mlp"]} for task, of_task in curves.items()}, tmp_path / "one.png")
    assert imread(tmp_path / "both.png").shape == imread(tmp_path / "one.png").shape
    assert not np.array_equal(imread(tmp_path / "both.png"), imread(tmp_path / "one.png"))


def test_a_folder_without_histories_is_told(make, tmp_path):
    with pytest.raises(ContractError, match=r"runs.csv: no such file; give results/"):
        read_curves(tmp_path / "nowhere", "kde")
    with pytest.raises(ContractError, match="no history of epochs of the scheme scaffold; give a publication"):
        read_curves(make({("mlp", 0): [5, 4]}), "scaffold")
