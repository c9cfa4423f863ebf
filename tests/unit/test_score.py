import json
import subprocess
import sys
import warnings

import numpy as np
import pyarrow as pa
import pytest

from boomlib.contracts import fold_array, read_table, write_molecules, write_predictions, write_table
from boomlib.evaluation.comparison import RESAMPLED
from boomlib.evaluation.score import fold_masks, score, score_run
from boomlib.files import ContractError
from boomlib.provenance import content_hash
from boomlib.version import VERSION

Y = np.array([0.0, 2.0, 4.0, 6.0, 5.0, 3.0, 1.0, 7.0, -2.0, 6.0])
FOLD = np.array(["train", "train", "train", "valid", "valid", "id", "id", "ood", "ood", "ood"])
ERROR = np.array([np.nan, np.nan, np.nan, 1, 1, 1, -1, 3, 3, 0])


def test_folds_floor_and_ratio_by_hand():
    found = score(Y, FOLD, Y + ERROR, resamples=20)
    folds = found["folds"]
    assert list(folds) == ["valid", "id", "ood", "ood_tail", "ood_interior"]
    assert found["n_train"] == 3
    # train and valid reach from 0 to 6, so 7 and -2 are tail, and 6, on the edge, is interior
    assert {name: fold["n"] for name, fold in folds.items()} == {
        "valid": 2,
        "id": 2,
        "ood": 3,
        "ood_tail": 2,
        "ood_interior": 1,
    }
    assert folds["ood"]["metrics"]["rmse"]["value"] == pytest.approx(np.sqrt(18 / 3))
    assert folds["ood_tail"]["metrics"]["bias"]["value"] == pytest.approx(3)
    assert folds["ood_interior"]["metrics"]["mae"]["value"] == 0
    # the mean of train's labels is 2
    assert folds["ood"]["floor"] == pytest.approx(np.sqrt((25 + 16 + 16) / 3))
    assert folds["ood"]["normalised_rmse"] == pytest.approx(np.sqrt(18 / 57))
    assert found["ood_id_ratio"] == pytest.approx(np.sqrt(6))
    # train's median is 2: of OOD -2 is below it, and one label has no R²
    assert folds["ood"]["metrics"]["r2_binned"]["value"] is None
    share = folds["ood"]["metrics"]["worst_five_share"]
    assert share == {"value": pytest.approx(1), "low": None, "high": None}
    low, high = (folds["ood"]["metrics"]["rmse"][key] for key in ("low", "high"))
    assert 0 <= low < np.sqrt(6) <= high <= 3


def test_bins_are_parted_by_the_median_of_train_and_not_of_the_fold():
    y = np.array([0.0, 1.0, 100.0, 1.0, 4.0, -1.0, -2.0, 2.0, 3.0, 5.0])
    fold = np.array(["train"] * 3 + ["id"] * 2 + ["ood"] * 5)
    y_pred = y + np.where(np.isin(y, (-1, 5)), 1, 0)
    found = score(y, fold, y_pred, resamples=5)["folds"]["ood"]["metrics"]["r2_binned"]["value"]
    assert found == pytest.approx(((1 - 1 / 0.5) + (1 - 1 / (14 / 3))) / 2)


def test_both_ends_of_the_training_range_are_interior():
    y = np.array([1.0, 3.0, 1.0, 3.0, 0.9, 3.1])
    masks = fold_masks(y, np.array(["train", "valid", "ood", "ood", "ood", "ood"]))
    assert np.flatnonzero(masks["ood_interior"]).tolist() == [2, 3]
    assert np.flatnonzero(masks["ood_tail"]).tolist() == [4, 5]


def test_predicting_the_train_mean_has_normalised_rmse_one():
    found = score(Y, FOLD, np.full(len(Y), 2.0), resamples=5)
    assert found["folds"]["ood"]["normalised_rmse"] == 1
    assert found["folds"]["id"]["normalised_rmse"] == 1


def test_what_is_undefined_is_null():
    fold = FOLD.copy()
    fold[FOLD == "id"] = "train"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = score(Y, fold, np.where(fold == "train", np.nan, 1e200), resamples=5)
    assert found["folds"]["id"] == {"n": 0, "floor": None, "normalised_rmse": None, "metrics": None}
    assert found["ood_id_ratio"] is None
    assert found["folds"]["ood"]["metrics"]["pearson"] == {"value": None, "low": None, "high": None}
    assert found["folds"]["ood"]["metrics"]["rmse"]["value"] is None  # it overflows
    json.dumps(found, allow_nan=False)


def test_without_predictions_of_valid_the_other_folds_are_scored_as_ever():
    whole = score(Y, FOLD, Y + ERROR, resamples=20)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = score(Y, FOLD, np.where(FOLD == "valid", np.nan, Y + ERROR), resamples=20)
    assert found["folds"].pop("valid")["metrics"]["rmse"] == {"value": None, "low": None, "high": None}
    del whole["folds"]["valid"]
    assert found == whole


def test_oracle_has_no_ratio():
    assert score(Y, FOLD, Y, resamples=5)["ood_id_ratio"] is None


@pytest.fixture
def files(tmp_path):
    paths = {name: tmp_path / f"{name}.parquet" for name in ("molecules", "split", "predictions")}
    write_molecules(paths["molecules"], ["C"] * len(Y), {"hof": Y}, {"hof": "kcal/mol"})
    ids = np.arange(len(Y))
    write_table(
        pa.table({"molecule_id": ids, "fold": fold_array(FOLD), "density": np.zeros(len(Y))}),
        paths["split"],
    )
    shown = FOLD != "train"
    write_predictions(paths["predictions"], ids[shown][::-1], FOLD[shown][::-1], (Y + ERROR)[shown][::-1])
    return paths


def run_score(files, out):
    run = {"dataset": "d", "property": "hof", "scheme": "kde", "model": "m", "seed": 0}
    score_run(
        files["molecules"],
        files["split"],
        files["predictions"],
        out,
        out.with_name("resamples.parquet"),
        property_name="hof",
        run=run,
        unit="kcal/mol",
        resamples=20,
    )
    return run


def test_score_run_writes_what_score_returns(files, tmp_path):
    run = run_score(files, tmp_path / "metrics.json")
    written = json.loads((tmp_path / "metrics.json").read_text())
    described = {
        "run": run,
        "unit": "kcal/mol",
        "version": VERSION,
        "split": content_hash([["C"] * len(Y), FOLD.tolist()]),
    }
    assert written == described | score(Y, FOLD, Y + ERROR, resamples=20)


def test_score_run_writes_the_rmse_on_resamples(files, tmp_path):
    run_score(files, tmp_path / "metrics.json")
    table = read_table(tmp_path / "resamples.parquet", RESAMPLED)
    assert table.num_rows == 20
    assert np.isnan(table["ood"].to_numpy()).all(), "three molecules tell no models apart"


def test_a_split_is_told_by_its_molecules_and_folds(files, tmp_path):
    def hash_of_split():
        run_score(files, tmp_path / "metrics.json")
        return json.loads((tmp_path / "metrics.json").read_text())["split"]

    first = hash_of_split()
    write_molecules(files["molecules"], ["C"] * len(Y), {"hof": Y + 1}, {"hof": "kcal/mol"})  # of other labels
    assert hash_of_split() == first
    write_molecules(files["molecules"], ["N"] + ["C"] * (len(Y) - 1), {"hof": Y}, {"hof": "kcal/mol"})
    assert hash_of_split() != first


def test_incomplete_predictions_are_refused(files, tmp_path):
    write_predictions(files["predictions"], [3, 4], ["valid", "valid"], [1.0, 1.0])
    with pytest.raises(ContractError, match=r"5 missing molecules \(C\)"):
        run_score(files, tmp_path / "metrics.json")
    assert not (tmp_path / "metrics.json").exists()


def test_import_is_light():
    heavy = "{'pandas', 'sklearn', 'scipy', 'torch', 'rdkit'}"
    code = f"import boomlib.evaluation.score, sys; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
