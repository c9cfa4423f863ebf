"""Weights of a committee: what they are, what they are fitted to, and whose predictions a committee reads."""

import csv
import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from scipy.optimize import minimize
from tiny import MODELS, TrainingJob, member_files, small_descriptor, write_benchmark

from boomlib import contracts, registry
from boomlib.files import ContractError
from boomlib.harness.interface import MEMBERS, Molecules
from boomlib.models.committee import Committee, assign_folds, fit_weights
from boomlib.workflow import Plan

NAMES = ["steady", "shifted", "wild"]


def make(n=60, seed=0) -> Molecules:
    """Molecules and what three members say of them."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=n)
    said = {"steady": y + 0.2 * rng.normal(size=n), "shifted": y + 0.3, "wild": 3 * rng.normal(size=n)}
    smiles = np.array(["C" * (number + 1 + 100 * seed) for number in range(n)], dtype=object)
    return Molecules(np.arange(n), smiles, y, {MEMBERS: pa.table(said)})


def fit(molecules, folder, seed=0, folds=5) -> Committee:
    committee = Committee(members=NAMES, folds=folds, kind="extensive", seed=seed)
    committee.fit(molecules.take(np.arange(0)), molecules, folder)
    return committee


# -- weights ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_weights_are_the_best_of_all_that_are_positive_and_have_the_sum_1(seed):
    rng = np.random.default_rng(seed)
    y = rng.normal(size=40)
    predicted = y[:, None] * rng.uniform(0.5, 1.2, size=6) + rng.normal(size=(40, 6)) * rng.uniform(0.1, 1, size=6)

    def square(weights):
        return np.mean((predicted @ weights - y) ** 2)

    weights = fit_weights(predicted, y)
    sum_is_1 = {"type": "eq", "fun": lambda w: w.sum() - 1}
    best = minimize(square, np.full(6, 1 / 6), bounds=[(0, 1)] * 6, constraints=sum_is_1, tol=1e-14)
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1)
    assert square(weights) <= best.fun + 1e-12
    assert weights == pytest.approx(best.x, abs=1e-4)


def test_errors_that_cancel_share_the_weight_and_a_member_that_is_right_has_all_of_it():
    y = np.arange(10.0)
    assert fit_weights(np.column_stack([y + 1, y - 1]), y) == pytest.approx([0.5, 0.5])
    assert fit_weights(np.column_stack([y + 3, y - 1]), y) == pytest.approx([0.25, 0.75])
    assert fit_weights(np.column_stack([y + 1, y, y + 2]), y) == pytest.approx([0, 1, 0])
    assert fit_weights(np.column_stack([y, y]), y).sum() == pytest.approx(1)


@pytest.mark.parametrize("unit", [1e-30, 1e30])
def test_weights_do_not_depend_on_the_unit(unit):
    predicted, y = make().features[MEMBERS].to_pandas().to_numpy(), make().y
    assert fit_weights(predicted * unit, y * unit) == pytest.approx(fit_weights(predicted, y))


def test_mean_and_spread_are_the_members_by_their_weights(tmp_path):
    committee, asked = fit(make(), tmp_path), make(9, seed=1)
    predicted, weights = asked.features[MEMBERS].to_pandas().to_numpy(), committee.weights[-1]
    prediction = committee.predict(asked)
    assert prediction.mean == pytest.approx(np.average(predicted, axis=1, weights=weights))
    variance = [np.cov(row, aweights=weights, ddof=0) for row in predicted]
    assert prediction.std == pytest.approx(np.sqrt(variance))
    rows = list(csv.DictReader((tmp_path / "history.csv").open()))
    assert [row["member"] for row in rows] == NAMES
    assert [float(row["weight"]) for row in rows] == weights.tolist()
    assert float(rows[1]["valid_rmse"]) == pytest.approx(0.3)


# -- valid -----------------------------------------------------------------------------------------------


def test_a_molecule_of_valid_is_predicted_without_its_own_fold(tmp_path):
    molecules, asked = make(), make(9, seed=1)
    before = fit(molecules, tmp_path)
    y = molecules.y.copy()
    y[7] += 50
    after = fit(dataclasses.replace(molecules, y=y), tmp_path)
    same = before.predict(molecules).mean == after.predict(molecules).mean
    fold = np.array([before.fold[text] for text in molecules.smiles])
    assert np.array_equal(same, fold == fold[7])
    assert (before.predict(asked).mean != after.predict(asked).mean).all()
    rest = fold != fold[7]
    weights = fit_weights(molecules.features[MEMBERS].to_pandas().to_numpy()[rest], molecules.y[rest])
    assert before.weights[fold[7]] == pytest.approx(weights)


def test_folds_go_by_seed_and_smiles_alone_and_are_equally_large():
    smiles = [f"C{'C' * n}O" for n in range(52)]
    found = assign_folds(smiles, 5, 0)
    assert sorted(np.bincount(list(found.values()))) == [10, 10, 10, 11, 11]
    assert assign_folds([*reversed(smiles), *smiles], 5, 0) == found
    assert assign_folds(smiles, 5, 1) != found


@pytest.mark.parametrize(
    ("n", "folds", "remedy"),
    [
        (1, 5, "valid more molecules"),
        (0, 5, "valid more"),
        (60, 1, "`folds` at least 2"),
        (60, 0, "`folds` at least 2"),
    ],
)
def test_too_few_molecules_or_folds_are_refused(tmp_path, n, folds, remedy):
    with pytest.raises(ContractError, match=rf"{n} molecules of valid in {folds} folds: .* give {remedy}"):
        fit(make(n), tmp_path, folds=folds)


# -- the test folds --------------------------------------------------------------------------------------


@pytest.fixture
def job(tmp_path) -> TrainingJob:
    descriptor = small_descriptor("committee")
    write_benchmark(tmp_path, [], descriptor["parameters"]["members"])
    return TrainingJob(descriptor, tmp_path, tmp_path / "run")


def read_weights(job) -> list[str]:
    return (job.folder / "history.csv").read_text().splitlines()


def test_labels_and_predictions_of_the_test_folds_do_not_change_the_weights(job, tmp_path):
    job()
    weights, first = read_weights(job), contracts.read_table(job.predictions).to_pandas()
    task = pq.read_table(tmp_path / "task.parquet")
    known = np.nan_to_num(task["y"].to_numpy(), nan=1e6)
    contracts.write_table(task.set_column(3, "y", pa.array(known)), tmp_path / "known.parquet", contracts.TASK)
    job(task=tmp_path / "known.parquet")
    assert read_weights(job) == weights
    assert contracts.read_table(job.predictions).to_pandas().equals(first)
    hidden = (first["fold"] != "valid").to_numpy()
    for path in member_files(job.descriptor, tmp_path).values():
        table = pq.read_table(path)
        other = table["y_pred"].to_numpy() + 100 * hidden * np.random.default_rng(1).normal(size=len(table))
        contracts.write_table(table.set_column(2, "y_pred", pa.array(other)), path, contracts.PREDICTIONS)
    job()
    assert read_weights(job) == weights
    assert np.array_equal(contracts.read_table(job.predictions)["y_pred"].to_numpy() == first["y_pred"], ~hidden)


def test_predictions_of_a_member_that_do_not_fit_are_named(job, tmp_path):
    files = member_files(job.descriptor, tmp_path)
    table = pq.read_table(files["ridge"])
    contracts.write_table(table.slice(1), files["ridge"], contracts.PREDICTIONS)
    with pytest.raises(ContractError, match=r"predictions/ridge\.parquet: 1 missing molecules"):
        job()


# -- members ---------------------------------------------------------------------------------------------

CONFIG = {"tasks": ["csd10k/hof"], "models": ["both"], "seeds": [0, 4]}


def vary(*members: str) -> dict:
    return {"both": {"of": "committee", "label": "Both", "parameters": {"members": list(members)}}}


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (["rigde"], "unknown model 'rigde'; did you mean 'ridge'?"),
        (["ridge", "committee"], "'committee' reads predictions of models itself; name its members instead"),
        (["both"], "'both' reads predictions of models itself; name its members instead"),
        (["ridge", "oracle"], "'oracle' is a control, which bounds models and is none; leave it out"),
        (["ridge", "mlp", "ridge"], "'ridge' stands there twice; name it once"),
        ([], "name two models or more, whose predictions 'both' reads"),
        (["ridge"], "name two models or more, whose predictions 'both' reads"),
    ],
)
def test_members_that_will_not_do_are_named(members, message):
    with pytest.raises(ContractError) as error:
        registry.with_variants(MODELS, CONFIG | {"variants": vary(*members)})
    assert str(error.value) == f"config: variants.both: parameters.members: {message}"


@pytest.mark.parametrize("folds", [1, 0, -2])
def test_too_few_folds_are_named_before_anything_runs(folds):
    variants = {"both": {"of": "committee", "label": "Both", "parameters": {"folds": folds}}}
    with pytest.raises(ContractError, match=r"variants\.both: parameters\.folds: .* need 2 or more"):
        registry.with_variants(MODELS, CONFIG | {"variants": variants})


def test_a_descriptor_has_its_members_checked(tmp_path):
    descriptor = MODELS["committee"] | {"parameters": {"members": ["x"], "folds": 5}}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(descriptor))
    with pytest.raises(ContractError, match=r"c\.yaml: parameters\.members: unknown model 'x'"):
        registry.load_models(tmp_path)


def test_a_committee_reads_its_members_with_its_own_seed_and_waits_for_what_they_need():
    plan = Plan(CONFIG | {"variants": vary("mlp", "physics_ridge")})
    asked = {"dataset": "csd10k", "property": "hof", "scheme": "kde", "model": "both", "seed": "4"}
    paths = [f"results/predictions/csd10k/hof/kde/{name}/seed4.parquet" for name in ("mlp", "physics_ridge")]
    assert plan.get_members(asked) == paths
    assert plan.get_members(asked | {"model": "ridge"}) == []
    assert [*plan.run_models] == ["both"]
    assert [*plan.trained_models] == ["both", "mlp", "physics_ridge"]
    needs = plan.list_needs(plan.runs[1])
    order = ["results/features/csd10k/xtb.parquet", paths[1], f"results/predictions/{plan.runs[1].stem}.parquet"]
    assert [path for path in needs if path in order] == order
    assert not [path for path in needs if "metrics" in path and "both" not in path]


def test_a_member_that_starts_from_a_directory_has_it_checked(tmp_path):
    start = {"pretrained": {"directory": str(tmp_path)}}
    own = {"own": {"of": "chemberta_small", "label": "Own", "parameters": start}}
    with pytest.raises(ContractError, match=r"models: own: parameters\.pretrained\.directory: .* no "):
        Plan(CONFIG | {"variants": own | vary("own", "ridge")})
