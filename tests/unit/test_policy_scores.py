import json

import numpy as np
import pyarrow as pa
import pytest

from boomlib.contracts import NO_FOLD, PAIRS, PLACES, POLICY, fold_array, write_molecules, write_table
from boomlib.evaluation.policy import linearity, read_policy, score_policy, score_policy_file, weights
from boomlib.files import ContractError, read_json

FOLD = np.repeat(["train", "valid", "id", "ood"], [6, 3, 3, 4])
N = len(FOLD)
HELD = np.isin(FOLD, ("valid", "id"))
SWEEP = [-10.0, 0.0, 10.0]
FACTS = {"shift": 10.0, "sweep": SWEEP, "offset": -3.5, "threshold": 0.6, "clip": 20.0}
NO_PAIRS = PAIRS.empty()


@pytest.fixture
def y():
    return np.random.default_rng(0).normal(size=N)


def make_table(y, **changed):
    """A model that knows every outcome, has support everywhere and says that the policy lowers each by 5."""
    columns = {
        "environment": np.arange(N) % 2,
        "m_observed": y,
        "m_moved": y - 5,
        "m_policy": y - 5,
        "log_ratio_density": np.zeros(N),
        "log_ratio_classifier": np.zeros(N),
        "support": np.ones(N),
        "support_before": np.ones(N),
        "alpha": np.full(N, 0.5),
        "sweep": y[:, None] - 0.5 * np.array(SWEEP),
    } | changed
    columns["sweep"] = pa.array(list(columns["sweep"]), POLICY.columns["sweep"])
    table = pa.table({"molecule_id": np.arange(N)} | columns)
    return table.replace_schema_metadata({"policy": json.dumps(FACTS)})


def held_out(y, pairs=NO_PAIRS, **changed):
    return score_policy(y, FOLD, make_table(y, **changed), FACTS, pairs)["populations"]["held out"]


def test_a_model_that_knows_every_outcome(y):
    found = held_out(y)
    for by_ratio in found["estimates"].values():
        assert by_ratio["contrast"]["psi"] == pytest.approx(-5)
        assert by_ratio["contrast"]["standard_error"] == pytest.approx(0, abs=1e-12)
        assert by_ratio["one_step"]["psi"] == pytest.approx(y[HELD].mean() - 5)
        assert by_ratio["contrast"]["effective_sample_size"] == pytest.approx(6)
    assert found["n"] == 6
    assert found["abstention"] == found["anchor_rmse"] == found["rmse_given_context"] == 0
    assert found["alpha"]["mean"] == 0.5
    assert found["linearity"]["slope"] == pytest.approx(-0.5)


@pytest.mark.parametrize("right", ["m", "ratio"])
def test_the_estimate_is_doubly_robust_whatever_the_policy_head_says(right):
    """A normal treatment a, y = x - a + noise, a shift of 0.5: the contrast is -0.5; the head is off by 3."""
    rng = np.random.default_rng(3)
    n, shift = 40_000, 0.5
    x, a = rng.normal(size=(2, n))
    y = x - a + rng.normal(size=n)
    m = (lambda at: x - at) if right == "m" else (lambda at: 0.3 * x + 0 * at)
    log_ratio = a * shift - shift**2 / 2 if right == "ratio" else 0.3 * x
    values = {"m_observed": m(a), "m_moved": m(a + shift), "m_policy": m(a + shift) + 3}
    columns = values | {"log_ratio_density": log_ratio, "log_ratio_classifier": log_ratio}
    columns |= dict.fromkeys(("support", "support_before"), np.ones(n))
    columns |= {"alpha": np.zeros(n), "environment": np.zeros(n, dtype=int)}
    sweep = pa.array(list(np.tile(m(a)[:, None], len(SWEEP))), POLICY.columns["sweep"])
    table = pa.table({"molecule_id": np.arange(n), **columns, "sweep": sweep})
    found = score_policy(y, np.full(n, "valid"), table, FACTS, NO_PAIRS)["populations"]["held out"]
    for by_ratio in found["estimates"].values():
        assert by_ratio["contrast"]["low"] < -0.5 < by_ratio["contrast"]["high"]
        assert by_ratio["contrast"]["standard_error"] < 0.02
    assert found["contrast"]["mean"] > 2
    assert found["anchor_rmse"] == pytest.approx(3)


def test_without_support_nothing_is_changed(y):
    # both molecules with ids 6 and 8 are in environment 0 of the held out, which has 6, 8 and 10
    found = held_out(y, support=np.where(np.isin(np.arange(N), (6, 8)), 0.5, 0.6))
    assert found["estimates"]["density"]["plug_in"]["psi"] == pytest.approx(y[HELD].mean() - 5 * 4 / 6)
    assert found["abstention"] == pytest.approx(2 / 6)
    assert found["abstention_by_environment"] == pytest.approx({0: 2 / 3, 1: 0})


def test_the_estimate_is_the_mean_of_weighted_residuals_and_changes(y):
    rng = np.random.default_rng(1)
    m, log_ratio = y + rng.normal(size=N), rng.normal(size=N)
    ahead, before = rng.random(N), rng.random(N)
    changed = {"m_observed": m, "log_ratio_density": log_ratio, "support": ahead, "support_before": before}
    weight = (before >= 0.6) * np.exp(log_ratio) + (ahead < 0.6)
    assert weights(make_table(y, **changed), FACTS, "density") == pytest.approx(weight)
    change = weight * (y - m) + np.where(ahead >= 0.6, y - 5, m) - y
    estimates = held_out(y, **changed)["estimates"]
    assert estimates["density"]["contrast"]["psi"] == pytest.approx(change[HELD].mean())
    assert estimates["classifier"]["contrast"]["psi"] != pytest.approx(change[HELD].mean())


def test_weights_are_clipped(y):
    assert weights(make_table(y, log_ratio_classifier=np.full(N, 9.0)), FACTS, "classifier") == pytest.approx(20)


def test_other_molecules_do_not_count(y):
    other = np.where(HELD, 0, 100.0)
    changed = {name: make_table(y)[name].to_numpy() + other for name in ("m_observed", "m_policy", "alpha")}
    assert held_out(y, **changed)["estimates"] == held_out(y)["estimates"]
    assert held_out(y, **changed)["alpha"] == held_out(y)["alpha"]


def test_populations_and_truths_that_cannot_be_expressed(y):
    y[:2] = -3.5, -4
    found = score_policy(y, FOLD, make_table(y), FACTS, NO_PAIRS)
    assert {name: each["n"] for name, each in found["populations"].items()} == {"train": 6, "held out": 6, "ood": 4}
    assert found["truths_below_offset"] == 2
    fold = np.where(FOLD == "ood", "train", FOLD)
    assert list(score_policy(y, fold, make_table(y), FACTS, NO_PAIRS)["populations"]) == ["train", "held out"]
    with pytest.raises(ContractError, match="fewer than two molecules"):
        score_policy(y, np.full(N, "train"), make_table(y), FACTS, NO_PAIRS)


def test_variance_over_environments_and_distance_to_the_anchor(y):
    m_policy = y - 5 + np.where(np.arange(N) % 2 == 0, 2, -2)
    found = held_out(y, m_policy=m_policy)
    assert found["contrast_variance_over_environments"] == pytest.approx(4)
    assert found["anchor_rmse"] == pytest.approx(2)


def test_linearity():
    shift = np.array([-2.0, -1, 0, 1, 2])
    straight, curved, flat = (linearity(shift, each) for each in (3 * shift, shift**2, 0 * shift))
    assert (straight["slope"], straight["r2"]) == pytest.approx((3, 1))
    assert (curved["slope"], curved["r2"]) == pytest.approx((0, 0))
    assert (flat["slope"], flat["r2"]) == (0, None)
    # half of the curve's sum of squares is linear: slope 1, residual 1 at both ends
    assert linearity(np.array([-1.0, 1]), np.array([0.0, 2]))["r2"] == pytest.approx(0.5)


def make_pairs(left, right):
    return pa.table({"left": left, "right": right, "delta_mass": np.full(len(left), 14.01565)})


def test_pairs(y):
    # of the pairs 0-1, 0-6, 6-9 and 12-13 the last two have no molecule in train
    pairs = make_pairs([0, 0, 6, 12], [1, 6, 9, 13])
    true = y[[1, 6, 9, 13]] - y[[0, 0, 6, 12]]
    change = np.zeros(N)
    change[[0, 6, 12]] = -1, 2, -3
    found = score_policy(y, FOLD, make_table(y, m_policy=y + change), FACTS, pairs)["pairs"]
    predicted = np.array([-1, -1, 2, -3])
    every, unseen = found["all"], found["unseen"]
    assert (every["n"], unseen["n"]) == (4, 2)
    assert every["pearson_r"] == pytest.approx(np.corrcoef(predicted, true)[0, 1])
    assert every["same_sign"] == np.mean((predicted > 0) == (true > 0))
    assert every["rmse"] == pytest.approx(np.sqrt(np.mean((predicted - true) ** 2)))
    assert every["rmse_of_mean"] == pytest.approx(np.std(true))
    assert unseen["mean_true"] == pytest.approx(true[2:].mean())
    assert unseen["mean_predicted"] == pytest.approx(-0.5)


def test_a_constant_contrast_has_no_correlation(y):
    pairs = make_pairs([0, 6], [1, 9])
    assert (
        score_policy(y, FOLD, make_table(y, m_policy=y, m_observed=y), FACTS, pairs)["pairs"]["all"]["pearson_r"]
        is None
    )


def test_too_few_pairs_have_no_score(y):
    found = score_policy(y, FOLD, make_table(y), FACTS, make_pairs([0], [1]))["pairs"]
    assert found["all"]["n"] == 1
    assert found["all"]["mean_true"] is None
    assert found["unseen"]["n"] == 0


@pytest.mark.parametrize("name", ["m_policy", "sweep"])
def test_a_value_that_is_not_finite_names_column_and_molecule(y, tmp_path, name):
    values = np.array(make_table(y)[name].to_pylist())
    values[7] = np.inf
    write_table(make_table(y, **{name: values}), tmp_path / "policy.parquet", POLICY)
    with pytest.raises(ContractError, match=rf"'{name}' is not finite for 1 of \d+ molecules; the training"):
        read_policy(tmp_path / "policy.parquet", np.arange(N))


@pytest.mark.parametrize("name", ["place_log_ratio", "place_outcome", "m_grouped"])
def test_a_place_that_is_not_finite_is_named(y, tmp_path, name):
    table, counted = make_table(y), np.arange(N) % 3  # so many places each
    for column, kind in PLACES.items():
        if column == "place_product":
            values = [["C"] * count for count in counted]
        elif column.startswith("place_"):
            values = [[0.0] * count for count in counted]
            values[7] = [np.nan] * counted[7] if column == name else values[7]
        else:
            values = [np.nan if column == name and at == 7 else 0.0 for at in range(N)]
        table = table.append_column(column, pa.array(values, kind))
    write_table(table, tmp_path / "policy.parquet")
    with pytest.raises(ContractError, match=rf"'{name}' is not finite for 1 of \d+ molecules; the training"):
        read_policy(tmp_path / "policy.parquet", np.arange(N))


def test_a_policy_of_other_molecules_or_without_facts_is_refused(y, tmp_path):
    path = tmp_path / "policy.parquet"
    write_table(make_table(y).slice(1), path, POLICY)
    with pytest.raises(ContractError, match="is not of the 16 molecules of the task, in order; delete it and rerun"):
        read_policy(path, np.arange(N))
    write_table(make_table(y).replace_schema_metadata(), path, POLICY)
    with pytest.raises(ContractError, match="lacks the metadata 'policy'"):
        read_policy(path, np.arange(N))


def test_from_files_to_json(y, tmp_path):
    paths = {name: tmp_path / f"{name}.parquet" for name in ("molecules", "split", "policy", "pairs")}
    write_molecules(paths["molecules"], ["C"] * N, {"hof": y}, {"hof": "eV"})
    split = {"molecule_id": np.arange(N), "fold": fold_array(FOLD), "density": np.zeros(N)}
    write_table(pa.table(split), paths["split"])
    write_table(make_table(y), paths["policy"], POLICY)
    write_table(make_pairs([0, 6], [1, 9]), paths["pairs"], PAIRS)
    score_policy_file(*paths.values(), tmp_path / "scores.json", name="hof", unit="eV")
    found = read_json(tmp_path / "scores.json")
    assert (found["unit"], found["facts"]) == ("eV", FACTS)
    assert found["populations"]["ood"]["estimates"]["density"]["contrast"]["psi"] == pytest.approx(-5)
    assert found["pairs"]["all"]["mean_predicted"] == pytest.approx(-5)


def test_molecules_without_a_label_are_no_part_of_a_policy(y, tmp_path):
    paths = {name: tmp_path / f"{name}.parquet" for name in ("molecules", "split", "policy", "pairs")}
    among = np.arange(N) * 2 + 1  # every other molecule has no label
    labels, fold = np.full(2 * N + 1, np.nan), np.full(2 * N + 1, NO_FOLD, dtype=FOLD.dtype)
    labels[among], fold[among] = y, FOLD
    write_molecules(paths["molecules"], ["C"] * len(labels), {"hof": labels}, {"hof": "eV"})
    split = {"molecule_id": np.arange(len(fold)), "fold": fold_array(fold), "density": np.zeros(len(fold))}
    write_table(pa.table(split), paths["split"])
    table = make_table(y)
    write_table(table.set_column(0, "molecule_id", pa.array(among)), paths["policy"], POLICY)
    write_table(make_pairs([1, 13, 0], [3, 19, 5]), paths["pairs"], PAIRS)  # the last with one that has no label
    score_policy_file(*paths.values(), tmp_path / "scores.json", name="hof", unit="eV")
    expected = {"unit": "eV", **score_policy(y, FOLD, table, FACTS, make_pairs([0, 6], [1, 9]))}
    found = read_json(tmp_path / "scores.json")
    assert {key: found[key] for key in expected} == json.loads(json.dumps(expected))
