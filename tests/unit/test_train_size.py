"""The curve over the size of train."""

import numpy as np
import pytest

from benchmarks.train_size import FOLDS, draw_curves, draw_parts, fit_part
from boomlib.harness.interface import Molecules, Prediction


def test_parts_are_nested_and_the_last_is_the_whole():
    small, middle, whole = draw_parts(50, [20, 5, 70], seed=3)
    assert [len(small), len(middle)] == [5, 20]
    assert set(small) < set(middle)
    assert whole.tolist() == list(range(50))
    assert np.all(np.diff(middle) > 0)
    assert draw_parts(50, [5], seed=3)[0].tolist() == small.tolist()
    assert draw_parts(50, [5], seed=4)[0].tolist() != small.tolist()


class Mean:
    """Predicts the mean of train, and sees which labels it is shown."""

    def __init__(self, *, kind, threads, add):
        assert (kind, threads) == ("intensive", 1)
        self.add = add

    def fit(self, train, valid, folder):
        assert np.isfinite(np.concatenate([train.y, valid.y])).all()
        assert np.isnan(self.unlabelled.y).all()
        self.mean = train.y.mean() + self.add

    def predict(self, molecules):
        assert np.isnan(molecules.y).all()
        return Prediction(np.full(len(molecules), self.mean))


def test_a_fit_is_asked_about_molecules_without_labels(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.train_size.find_model_class", {"Mean": Mean}.get)

    def make(*y):
        return Molecules(np.arange(len(y)), np.array(["C"] * len(y), dtype=object), np.array(y, dtype=float), {})

    parts = {"train": make(1, 3), "valid": make(3), "id": make(4, 2), "ood": make(13)}
    fitted = fit_part({"class": "Mean", "parameters": {"add": 1.0}}, {"kind": "intensive"}, parts, tmp_path / "fit")
    assert fitted["rmse"] == pytest.approx({"valid": 0, "id": 0.5**0.5 * 2**0.5, "ood": 10})
    found = {"mean": {2: fitted, 4: fitted | {"rmse": dict.fromkeys(FOLDS, 1.0)}}}
    draw_curves(found, {"mean": "Mean"}, "eV", tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
