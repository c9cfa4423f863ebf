import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from test_applicability import compute

from boomlib.contracts import fold_array, write_molecules, write_predictions, write_table
from boomlib.evaluation.applicability import Domain, fit_domain
from boomlib.evaluation.conformal import Calibration
from boomlib.evaluation.uncertainty import COLUMNS, find_auroc, judge_uncertainty, summarise_uncertainty
from boomlib.files import read_json, write_json
from boomlib.report.tables import uncertainty

SIZES = {"train": 30, "valid": 40, "id": 60, "ood": 50}
FOLD = np.repeat(list(SIZES), list(SIZES.values()))
SMILES = [f"{'C' * (n % 12 + 1)}{end}" for n, end in zip(range(len(FOLD)), ["O", "N", "F", ""] * 45, strict=True)]
SMILES[-10:] = ["C" * (n + 1) + "Cl" for n in range(10)]  # of OOD alone
TESTED = FOLD != "train"
KEY = {"dataset": "data", "property": "x", "scheme": "kde", "model": "net"}


class Task:
    """A task with labels of its own, on which models are judged."""

    def __init__(self, folder, y):
        self.folder, self.y = folder, y
        self.molecules, self.split = folder / "molecules.parquet", folder / "split.parquet"
        write_molecules(self.molecules, SMILES, {"x": y}, {"x": "eV"})
        ids = np.arange(len(FOLD))
        write_table(
            pa.table({"molecule_id": ids, "fold": fold_array(FOLD), "density": np.ones(len(FOLD))}), self.split
        )
        features = {name: folder / f"{name}.parquet" for name in ("elements", "morgan_counts")}
        for name, table in compute(SMILES).items():
            write_table(table, features[name])
        self.domain = folder / "domain.parquet", folder / "scores.parquet"
        fit_domain(self.molecules, self.split, features, *self.domain, property_name="x")

    def judge(self, *seeds, name="net"):
        """What is written of a model whose seeds have these errors and, where it is given, this spread."""
        paths = {}
        for seed, (error, spread) in enumerate(seeds):
            paths[seed] = self.folder / f"{name}{seed}.parquet"
            std = None if spread is None else spread[TESTED]
            write_predictions(paths[seed], np.flatnonzero(TESTED), FOLD[TESTED], (self.y + error)[TESTED], std)
        out = self.folder / f"uncertainty/data/x/kde/{name}.json"
        arguments = (self.molecules, self.split, paths, *self.domain, out)
        judge_uncertainty(*arguments, property_name="x", model=KEY | {"model": name}, unit="eV")
        return read_json(out)["predictors"]


def labels(scale=1.0):
    return np.random.default_rng(0).normal(size=len(FOLD)) * np.where(FOLD == "ood", scale, 1)


def errors(seed=1, ood=1.0):
    """Errors of a model, on OOD so many times as large."""
    return np.random.default_rng(seed).normal(size=len(FOLD)) * np.where(FOLD == "ood", ood, 1)


def test_auroc_by_hand():
    assert find_auroc(np.array([0.0, 1.0]), np.array([2.0, 3.0])) == 1
    assert find_auroc(np.array([2.0, 3.0]), np.array([0.0, 1.0])) == 0
    # pairs of OOD with ID: 1 > 0, 1 = 1, 3 > 0, 3 > 1
    assert find_auroc(np.array([0.0, 1.0]), np.array([1.0, 3.0])) == 3.5 / 4
    assert find_auroc(np.zeros(3), np.zeros(5)) == 0.5
    assert find_auroc(np.zeros(3), np.zeros(0)) is None


def test_coverage_and_width_of_a_model_without_spread(tmp_path):
    error = errors(ood=5.0)
    (judged,) = Task(tmp_path, labels()).judge((error, None))
    assert (judged["name"], judged["offered"], judged["usual_spread"]) == ("seed0", "plain", None)
    assert set(judged["intervals"]) == {"plain"}
    factor = np.sort(np.abs(error[FOLD == "valid"]))[-4]  # 37 of 41 places are below: 90 %
    found = judged["intervals"]["plain"]
    assert found["calibration"] == {
        "confidence": 0.9,
        "molecules": 40,
        "factor": pytest.approx(factor),
        "least_spread": None,
    }
    for fold, folds in ((name, found["folds"][name]) for name in ("id", "ood")):
        rows = np.isin(FOLD, fold)
        assert folds["coverage"] == np.mean(np.abs(error[rows]) <= factor)
        assert folds["low"] < folds["coverage"] < folds["high"]
        assert folds["width"] == pytest.approx(2 * factor)
        assert folds["rank_correlation"] is None
    assert found["folds"]["id"]["chance"] > 0.025 > found["folds"]["ood"]["chance"]
    assert found["folds"]["ood_tail"]["n"] + found["folds"]["ood_interior"]["n"] == SIZES["ood"]


def test_the_spread_of_members_normalises_and_flags(tmp_path):
    spread = np.random.default_rng(3).uniform(0.5, 2, len(FOLD)) * np.where(FOLD == "ood", 3, 1)
    (judged,) = Task(tmp_path, labels()).judge((errors() * spread, spread))
    assert judged["offered"] == "normalised"
    assert judged["usual_spread"] == pytest.approx(np.quantile(spread[FOLD == "valid"], 0.95))
    folds = judged["intervals"]["normalised"]["folds"]
    assert folds["id"]["rank_correlation"] > 0.2
    assert folds["ood"]["width"] == pytest.approx(
        folds["id"]["width"] * np.median(spread[FOLD == "ood"]) / np.median(spread[FOLD == "id"])
    )
    assert judged["flags"]["spread"]["auroc"] > 0.9
    assert judged["flags"]["element"] == {"auroc": 0.6, "id": 0, "ood": 0.2}  # ten of fifty have chlorine


def test_several_seeds_are_judged_by_themselves_and_together(tmp_path):
    task = Task(tmp_path, labels())
    judged = task.judge(*((errors(seed), None) for seed in (1, 2, 3)))
    assert [each["name"] for each in judged] == ["seed0", "seed1", "seed2", "mean"]
    assert judged[-1]["seeds"] == [0, 1, 2]
    assert set(judged[-1]["intervals"]) == {"plain", "normalised"}
    widths = [each["intervals"]["plain"]["folds"]["id"]["width"] for each in judged]
    assert widths[-1] < min(widths[:-1])
    same = task.judge(*((errors(), None) for _ in range(2)))
    assert [each["name"] for each in same] == ["seed0", "seed1"]


def test_a_model_that_diverged_is_judged_without_its_spread(tmp_path):
    task, wild = Task(tmp_path, labels()), np.where(FOLD == "ood", 1e200, 0)
    judged = task.judge((errors() + wild, None), (errors() - wild, None))
    assert [set(each["intervals"]) for each in judged] == [{"plain"}, {"plain"}]
    assert judged[0]["intervals"]["plain"]["folds"]["ood"]["coverage"] == 0


def test_labels_of_the_test_folds_calibrate_nothing(tmp_path):
    y, spread = labels(), np.random.default_rng(3).uniform(0.5, 2, len(FOLD))
    found = []
    for name, changed in (("one", y), ("two", np.where(np.isin(FOLD, ("id", "ood")), 1e3 + 7 * y, y))):
        (tmp_path / name).mkdir()
        (judged,) = Task(tmp_path / name, changed).judge((y + errors() - changed, spread))  # the same predictions
        found.append(judged)
    for key in ("offered", "usual_spread", "flags"):
        assert found[0][key] == found[1][key]
    for kind in ("plain", "normalised"):
        one, two = (each["intervals"][kind] for each in found)
        assert one["calibration"] == two["calibration"]
        assert one["folds"]["id"]["coverage"] > two["folds"]["id"]["coverage"] == 0
    assert Calibration.from_json(one["calibration"]).least_spread > 0


def test_the_table_has_a_row_a_measure(tmp_path):
    task = Task(tmp_path, labels())
    spread = np.ones(len(FOLD)) + np.arange(len(FOLD)) / 10
    task.judge((errors(), spread))
    task.judge((errors(ood=3), None), name="other")
    paths = sorted((tmp_path / "uncertainty").rglob("*.json"))
    summarise_uncertainty(paths, tmp_path / "table.csv")
    table = pd.read_csv(tmp_path / "table.csv", keep_default_na=False)
    assert tuple(table.columns) == COLUMNS
    assert not table.duplicated(["model", "predictor", "kind", "fold", "measure"]).any()
    chosen = table[(table.model == "other") & (table.measure == "coverage") & (table.fold == "ood")]
    told = read_json(paths[1])["predictors"][0]["intervals"]["plain"]["folds"]["ood"]
    assert chosen["value"].astype(float).tolist() == pytest.approx([told["coverage"]])
    summarise_uncertainty([], tmp_path / "empty.csv")
    assert (tmp_path / "empty.csv").read_text() == ",".join(COLUMNS) + "\n"


TASKS = {("data", "x"): "data/x (eV)", ("data", "y"): "data/y (eV)"}


def rank(**seeds):
    """What the tables read of a scheme's models, so many of whose seeds are done."""
    done = pd.DataFrame({task: seeds for task in TASKS})
    return SimpleNamespace(
        scheme="kde", names={name: name.title() for name in seeds}, titles=TASKS, select=lambda *_: done
    )


def cells(table):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def test_the_page_shows_each_model_and_says_what_it_means(tmp_path):
    task = Task(tmp_path, labels())
    task.judge(*((errors(seed, ood=4), None) for seed in (1, 2)))
    task.judge((errors(ood=6), None), name="other")
    for name in ("lost", "failed"):
        task.judge(*((errors(seed), None) for seed in (1, 2)), name=name)
    described = uncertainty.describe_uncertainty(tmp_path, rank(net=2, other=1, lost=1, failed=np.nan, new=1))
    (shown,) = described["tasks"]
    assert shown["title"] == "data/x (eV)"
    assert [row[:2] for row in cells(shown["intervals"])] == [
        ["Net", "plain"],
        ["Net, mean of 2 seeds", "plain"],
        ["Net, mean of 2 seeds", "normalised"],
        ["Other", "plain"],
    ]
    flags = [row[:2] for row in cells(shown["flags"])]
    assert flags.count(["element", "any"]) == flags.count(["value", "Other"]) == 1
    assert [label for flag, label in flags if flag == "spread"] == ["Net, mean of 2 seeds"]
    first, second, third = described["sentences"]
    low, high = map(float, re.search(r"hold .* % on ID and ([\d.]+) % to ([\d.]+) % on OOD", first).groups())
    assert low < high < 60
    held = float(re.search(r"in the mean .* % and ([\d.]+) %\.", first)[1])  # of those alone that users get
    assert held == pytest.approx((low + high) / 2, abs=0.1)
    assert second.endswith("of 2 on ID and 2 of 2 on OOD: 90 % are no 90 % on molecules unlike those of valid.")
    assert "element 0.600" in third


def test_coverage_that_is_kept_is_not_denied(tmp_path):
    Task(tmp_path, labels()).judge((errors(ood=0.1), None))
    _, second, _ = uncertainty.describe_uncertainty(tmp_path, rank(net=1))["sentences"]
    assert second.endswith("and 0 of 1 on OOD.")


def test_nothing_judged_is_nothing_said(tmp_path):
    assert uncertainty.describe_uncertainty(tmp_path, rank(net=1)) == {"sentences": [], "tasks": []}


def test_folds_without_molecules_have_no_coverage(tmp_path):
    judged = Task(tmp_path, labels(scale=100)).judge((errors(), None))
    content = {"model": KEY, "unit": "eV", "confidence": 0.9, "predictors": judged}
    interior = judged[0]["intervals"]["plain"]["folds"]["ood_interior"]
    assert interior["n"] == 0 or interior["coverage"] is not None
    judged[0]["intervals"]["plain"]["folds"]["id"] |= {"n": 0, "coverage": None, "width": None, "chance": None}
    write_json(tmp_path / "uncertainty/data/x/kde/net.json", content)
    described = uncertainty.describe_uncertainty(tmp_path, rank(net=1))
    assert cells(described["tasks"][0]["intervals"])[0][3] == "—"
    assert Domain.load(tmp_path / "domain.parquet").limits["value"] == 0
