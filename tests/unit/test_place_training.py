"""NL-MTP trained in two phases, with a place: the job from task table to predictions, policy and history."""

import csv

import numpy as np
import pyarrow.parquet as pq
import pytest
from tiny import TrainingJob, small_descriptor, write_benchmark

from boomlib.contracts import PLACES

EPOCHS = {"observed": 3, "policy": 2}


@pytest.fixture(scope="module")
def descriptor() -> dict:
    """The small model, made smaller, as rows of config/nlmtp_ablation.yaml change it."""
    small = small_descriptor("nlmtp_small")
    given = small["parameters"]
    parameters = given | {
        "encoder": given["encoder"] | {"site": True},
        "training": given["training"] | {"epochs": EPOCHS["observed"], "policy_epochs": EPOCHS["policy"]},
    }
    return small | {"parameters": parameters, "features": [*small["features"], "insertions"]}


@pytest.fixture(scope="module")
def benchmark(descriptor, tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark")
    write_benchmark(folder, descriptor["features"])
    return folder


@pytest.fixture(scope="module")
def trained(descriptor, benchmark, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    job = TrainingJob(descriptor, benchmark, folder)
    job(policy=folder / "seed3/policy.parquet")
    return job


def test_epochs_of_both_phases_are_numbered_on(trained):
    with (trained.folder / "history.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["epoch"]) for row in rows] == list(range(1, sum(EPOCHS.values()) + 1))
    told = [row["valid_gap"] not in ("", "nan") for row in rows]
    assert told == [False] * EPOCHS["observed"] + [True] * EPOCHS["policy"], "of the policy's epochs alone"
    epochs = pq.read_table(trained.folder / "epochs.parquet")["epoch"].to_numpy()
    assert set(epochs) == set(range(1, sum(EPOCHS.values()) + 1))


def test_the_observed_world_stays_as_it_is_while_the_policy_is_trained(trained):
    with (trained.folder / "history.csv").open(newline="") as stream:
        errors = [float(row["valid_rmse"]) for row in csv.DictReader(stream)]
    best = min(errors[: EPOCHS["observed"]])
    assert errors[EPOCHS["observed"] :] == pytest.approx([best] * EPOCHS["policy"], rel=1e-5)


def test_each_place_of_each_molecule_is_answered(trained, benchmark):
    table = pq.read_table(trained.folder / "policy.parquet")
    made = pq.read_table(benchmark / "insertions.parquet")["product"].to_pylist()
    products = table["place_product"].to_pylist()
    assert products == [made[each] for each in table["molecule_id"].to_pylist()]
    for name in PLACES:
        if name.startswith("place_") and name != "place_product":
            values = table[name].to_pylist()
            assert [len(each) for each in values] == [len(each) for each in products]
            assert np.isfinite(np.concatenate(values)).all()
    assert np.isfinite(table["m_grouped"].to_numpy()).all()
    assert np.isfinite(table["log_ratio_grouped"].to_numpy()).all()


def test_the_same_seed_gives_the_same_bytes(trained, descriptor, benchmark, tmp_path):
    again = TrainingJob(descriptor, benchmark, tmp_path)
    again(policy=tmp_path / "seed3/policy.parquet")
    assert again.predictions.read_bytes() == trained.predictions.read_bytes()
    for file in ("policy.parquet", "epochs.parquet"):
        assert (again.folder / file).read_bytes() == (trained.folder / file).read_bytes()
