"""What the history of a training's epochs tells of it."""

import numpy as np
import pytest

from boomlib.evaluation.records import read_curve, read_epochs
from boomlib.report.tables.progress import name_properties

TWO_PHASES = "epoch,valid_rmse,valid_gap\n1,4.0,nan\n2,3.0,nan\n3,nan,\n4,3.0,0.2\n5,3.0,0.1\n"


@pytest.fixture
def write(tmp_path):
    def write(text):
        (tmp_path / "history.csv").write_text(text, encoding="utf-8")
        return tmp_path / "history.csv"

    return write


def test_the_curve_of_a_training_in_two_phases_is_that_of_the_first(write):
    epochs, errors = read_curve(write(TWO_PHASES))
    assert epochs == [1, 2, 3]
    np.testing.assert_array_equal(errors, [4.0, 3.0, np.nan])


def test_the_epochs_of_both_phases_count_and_the_kept_one_is_of_the_first(write):
    assert read_epochs(write(TWO_PHASES)) == (5, 2)


@pytest.mark.parametrize("text", ["penalty,valid_rmse\n0.1,2.0\n", "epoch,valid_rmse\n", None])
def test_what_is_not_trained_by_epochs_has_none(write, tmp_path, text):
    path = tmp_path / "history.csv" if text is None else write(text)
    assert read_curve(path) == ([], [])
    assert read_epochs(path) == (None, None)


def test_tasks_are_named_by_their_properties_while_these_differ():
    assert name_properties([("csd10k", "hof"), ("qm9", "gap")]) == ["hof", "gap"]
    assert name_properties([("csd10k", "hof"), ("qm9", "hof")]) == ["csd10k/hof", "qm9/hof"]
