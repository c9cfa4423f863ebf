"""The curve over the size of train."""

import itertools
import sys

import numpy as np
import pandas as pd
import pytest

from benchmarks import train_size
from boomlib.contracts import write_molecules
from boomlib.harness.interface import Molecules, Prediction

LABELS = {"train": (1.0, 3.0, 8.0, 4.0), "valid": (4.0,), "id": (5.0, 3.0), "ood": (14.0,)}


class Mean:
    """Predicts the mean of train, and has a look at the labels that it is shown."""

    fits = 0

    def __init__(self, *, kind, observable, threads, seed, add):
        assert (kind, observable, threads) == ("intensive", None, 1)
        self.add = add + seed

    def find_unreadable(self, molecules):
        return {}

    def fit(self, train, valid, folder):
        assert np.isfinite(np.concatenate([train.y, valid.y])).all()
        Mean.fits += 1
        self.mean = train.y.mean() + self.add

    def predict(self, molecules):
        return Prediction(np.full(len(molecules), self.mean))


class Part:
    def __init__(self, ids, y):
        self.molecules = Molecules(np.array(ids), np.array(["C"] * len(ids), dtype=object), np.array(y), {})

    def __len__(self):
        return len(self.molecules)

    def with_features(self, *names):
        return self.molecules


class Task:
    """One whose test molecules come without labels, as :class:`boomlib.task.Task` has them."""

    name, property, scheme, split = "tiny/size", "size", "kde", "0123"
    kind, observable, unit = "intensive", None, "eV"
    train, valid = Part(range(4), LABELS["train"]), Part([4], LABELS["valid"])
    test = Part([5, 6, 7], [np.nan] * 3)

    def evaluate(self, answers):
        truth = pd.Series([*LABELS["valid"], *LABELS["id"], *LABELS["ood"]], range(4, 8))
        folds = pd.Series(["valid", "id", "id", "ood"], range(4, 8))
        squared = ((answers - truth) ** 2).groupby(folds).mean() ** 0.5
        return pd.DataFrame({"value": {(fold, "rmse"): error for fold, error in squared.items()}})


def write_labels(path, last: float, other: float = 1.0) -> None:
    """The molecules table of the task."""
    size = np.array([*itertools.chain(*LABELS.values())])
    size[-1] = last
    columns = {"size": size, "other": np.full(len(size), other)}
    write_molecules(path, ["C"] * len(size), columns, dict.fromkeys(columns, "eV"))


@pytest.fixture
def ask(tmp_path, monkeypatch, capsys):
    """Runs the script on a made-up task and returns what it prints."""
    descriptor = {"label": "Mean", "family": "tabular", "class": "Mean", "features": [], "parameters": {"add": 1.0}}
    real = train_size.registry.load_models()
    monkeypatch.setattr(train_size, "load_task", lambda *args, **named: Task())
    monkeypatch.setattr(train_size, "find_model_class", {"Mean": Mean}.get)
    monkeypatch.setattr(train_size, "hash_training", lambda *args: "code")
    monkeypatch.setattr(train_size.registry, "load_models", lambda: real | {"mean": descriptor})

    monkeypatch.setattr(Task, "files", {"molecules": tmp_path / "molecules.parquet"}, raising=False)
    write_labels(tmp_path / "molecules.parquet", 14.0)

    def run(*arguments, sizes=("2", "9")):
        given = [str(tmp_path / "fits"), "tiny/size", "--sizes", *sizes, *arguments]
        monkeypatch.setattr(sys, "argv", ["train_size.py", *given])
        train_size.main()
        return capsys.readouterr().out.splitlines()

    return run


def test_parts_are_nested_and_a_size_of_all_or_more_is_the_whole():
    small, middle, whole = train_size.draw_parts(50, [20, 5, 70, 50], seed=3)
    assert [len(small), len(middle)] == [5, 20]
    assert set(small) < set(middle)
    assert whole.tolist() == list(range(50))
    assert np.all(np.diff(middle) > 0)
    assert train_size.draw_parts(50, [5], seed=3)[0].tolist() == small.tolist()
    assert train_size.draw_parts(50, [5], seed=4)[0].tolist() != small.tolist()


def test_the_table_has_the_errors_and_no_fit_is_made_twice(ask, tmp_path):
    before = Mean.fits
    table = ask("--models", "mean")
    # train's mean is 4, and the model says 5
    whole = [line.split("|")[-2].strip() for line in table[2:]]
    assert whole == ["1.00", "1.41", "9.00"]
    assert (tmp_path / "fits/train_size.png").read_bytes().startswith(b"\x89PNG")
    assert ask("--models", "mean") == table
    assert Mean.fits == before + 2


def test_a_fit_of_another_seed_is_not_taken_for_this_one(ask):
    first, other = ask("--models", "mean"), ask("--models", "mean", "--seed", "2")
    assert [line.split("|")[-2].strip() for line in other[2:]] == ["3.00", "3.16", "7.00"]
    assert first != other


def test_a_fit_to_other_labels_is_not_taken_for_this_one(ask):
    ask("--models", "mean")
    before = Mean.fits
    write_labels(Task.files["molecules"], 14.0, other=2.0)
    ask("--models", "mean")
    assert Mean.fits == before, "another property's labels are none of this task"
    write_labels(Task.files["molecules"], 15.0)
    ask("--models", "mean")
    assert Mean.fits == before + 2


def test_models_with_one_label_are_refused(ask, monkeypatch):
    known = train_size.registry.load_models()
    monkeypatch.setattr(train_size.registry, "load_models", lambda: known | {"again": known["mean"]})
    with pytest.raises(SystemExit, match="mean and again are both labelled 'Mean'; rename one"):
        ask("--models", "mean", "again")


@pytest.mark.parametrize(
    ("model", "why"),
    [
        ("committee", "committee: it is not fitted to molecules and labels alone"),
        ("oracle", "oracle: it is not fitted to molecules and labels alone"),
        ("rigde", "unknown model 'rigde'; did you mean 'ridge'"),
    ],
)
def test_what_cannot_be_fitted_is_said(ask, model, why):
    with pytest.raises(SystemExit, match=why):
        ask("--models", model)


def test_a_part_of_no_molecules_is_refused(ask, capsys):
    with pytest.raises(SystemExit):
        ask("--models", "mean", sizes=("0",))
    assert "a part has at least one molecule" in capsys.readouterr().err


def test_more_models_than_colours_are_all_drawn(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr("matplotlib.axes.Axes.loglog", lambda self, *given, **named: drawn.append(named["label"]))
    monkeypatch.setattr("matplotlib.axes.Axes.legend", lambda self, **named: None)
    names = [f"model {k}" for k in range(9)]
    fitted = {5: {"rmse": {"id": 1.0, "ood": 2.0}}}
    train_size.draw_curves(dict.fromkeys(names, fitted), "eV", tmp_path / "curves.png")
    assert drawn == names * 2
