"""How far a configuration is, read from results folders that are made up."""

import os
import random
import re
import socket
import sys
from contextlib import contextmanager

import pytest

from boomlib.contracts import fold_array
from boomlib.files import write_json, write_text
from boomlib.processes import claim, is_claimed, locate_lock
from boomlib.runs import Run
from boomlib.status import jobs
from boomlib.status.estimate import Speeds, read_record
from boomlib.status.jobs import Epochs, is_at_work, read_epochs, read_share
from boomlib.status.page import write_status
from boomlib.status.reading import read_status
from boomlib.unmade import mark_unmade, unmark
from boomlib.workflow import Plan

NOW = 1_800_000_000.0  # seconds since 1970
SIZES = {"csd10k": 8000, "qm9": 100_000}


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """An empty folder to read and write in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make_plan(**changes) -> Plan:
    return Plan({"tasks": ["csd10k/hof"], "models": ["ridge", "egnn_small"], "seeds": [0, 1]} | changes)


def finish(run: Run, seconds: float, wall: float = 0.0, scoring: float = 0.0, resumed: bool = False) -> None:
    """What a finished run leaves."""
    molecules = {"train": SIZES[run.dataset], "valid": 900, "id": 1000, "ood": 100}
    write_json(
        f"results/predictions/{run.stem}/run.json", {"seconds": seconds, "resumed": resumed, "molecules": molecules}
    )
    made = [f"results/predictions/{run.stem}.parquet", f"results/metrics/{run.stem}.json"]
    made.append(f"results/resamples/{run.stem}.parquet")
    for file in made:
        write_text(file, "")
    for rule, taken in (("train", max(wall, seconds)), ("evaluate", scoring)):
        write_text(f"logs/{rule}/{run.stem}.tsv", f"s\th:m:s\n{taken}\t0:00:01\n")


@contextmanager
def training(run: Run, began: float, *lines: str):
    """A training that is at work, as its marks, its log and the lock on that tell."""
    log = f"logs/train/{run.stem}.log"
    mark_unmade([f"results/predictions/{run.stem}.parquet", f"results/predictions/{run.stem}/run.json"], log)
    write_text(log, "".join(f"{line}\n" for line in lines))
    held = claim(log)
    os.utime(locate_lock(log), (began, began))
    try:
        yield log
    finally:
        os.close(held)


def find_states(plan: Plan) -> dict[str, str]:
    return {f"{each.run.model}/seed{each.run.seed}": each.status for each in read_status(plan, NOW).runs}


def test_what_a_command_that_goes_on_has_made_is_done(checkout):
    run, *_ = (plan := make_plan()).runs
    files, log = plan.list_needs(run), f"logs/train/{run.stem}.log"
    mark_unmade(files, log)
    assert set(find_states(plan).values()) == {"pending"}
    write_text(log, "")  # of a job that has ended, while the command that began it goes on
    for file in files:
        write_text(file, "")
    finish(run, 10.0)
    assert find_states(plan)[f"{run.model}/seed{run.seed}"] == "done"


def test_before_anything_has_run_all_is_pending_and_nothing_is_written(checkout):
    page = write_status(read_status(make_plan(), NOW))
    assert "of 4 runs 0 are done, 0 running, 4 pending, 0 failed" in page
    assert "**Unknown** is what 4 runs will take, since none like them has run: ridge, egnn_small." in page
    assert re.search(r"\| csd10k +\| hof +\| kde +\| pending +\| +— \| +— \| +— \| +— \|", page)
    assert re.search(r"\| ridge +\| pending +\| +unknown \|", page)
    assert "## Running" not in page and "## Failed" not in page
    assert list(checkout.iterdir()) == []


def test_done_running_failed_and_pending_are_told_apart(checkout):
    plan = make_plan()
    ridge, other, network, killed = plan.runs
    write_text("results/data/csd10k/rejects.csv", "row,smiles,reason\n1,C,no\n2,CC,neither\n")
    write_text("results/tasks/csd10k/hof/kde.parquet", "")
    finish(ridge, 20.0)
    write_json(f"results/predictions/{other.stem}/failure.json", {"error": "E", "message": "no |\n luck", "log": "l"})
    write_text(f"results/predictions/{killed.stem}/state/last.ckpt", "")
    with training(killed, NOW - 600, "epoch 1 of 12: a", "epoch 2 of 12: b", "epoch 3:  50%|##  | 1/2"):
        assert find_states(plan)["egnn_small/seed1"] == "running"
    with training(network, NOW - 600, "training on the CPU", "epoch 1 of 12: a", "epoch 2 of 12: b"):
        status = read_status(plan, NOW)
    assert [each.status for each in status.runs] == ["done", "failed", "running", "failed"]
    page = write_status(status)
    assert re.search(r"\| csd10k +\| hof +\| kde +\| ready +\| +8,000 \| +1,000 \| +100 \| +2 \|", page)
    assert re.search(r"\| ridge +\| 1 of 2, 1 failed +\| +0.01 \|", page)
    assert re.search(r"\| egnn_small +\| 0 of 2, 1 running, 1 failed +\|", page)
    assert f"| `{network.stem}` | epoch 3 of 12 |" in page
    assert re.search(r"epoch 3 of 12 +\| +10 \| +20\d\d-\d\d-\d\d \d\d:\d\d", page)
    assert re.search(r"`E: no \\\| luck` +\| `l`", page)
    assert "crashed; its log ends: epoch 3: 50%" in page and "(goes on from epoch 2 of 12)" in page
    # ten epochs of 300 s, and as many of the one that was killed
    assert status.left[network].seconds == pytest.approx(3000)
    assert status.left[killed].seconds == pytest.approx(3000)


def test_a_training_that_has_ended_is_not_running_and_one_to_come_has_not_failed(checkout):
    plan = make_plan(seeds=[0])
    ridge = plan.runs[0]
    with training(ridge, NOW):
        assert find_states(plan)["ridge/seed0"] == "running"
    assert find_states(plan)["ridge/seed0"] == "failed"
    unmark([f"results/predictions/{ridge.stem}.parquet", f"results/predictions/{ridge.stem}/run.json"])
    assert find_states(plan)["ridge/seed0"] == "pending", "the log is of an earlier command"


def test_what_a_command_has_made_is_done_before_it_ends_and_what_it_makes_again_is_not(checkout):
    plan = make_plan(seeds=[0])
    ridge, network = plan.runs
    for run in plan.runs:
        finish(run, 20.0)
        mark_unmade([f"results/predictions/{run.stem}.parquet"], f"logs/train/{run.stem}.log")
    write_text(f"logs/train/{ridge.stem}.log", "")
    write_text(f"results/predictions/{ridge.stem}.parquet", "")
    assert find_states(plan) == {"ridge/seed0": "done", "egnn_small/seed0": "pending"}
    with training(network, NOW):
        assert find_states(plan) == {"ridge/seed0": "done", "egnn_small/seed0": "running"}


def test_what_waits_for_a_stage_that_failed_says_so_and_for_one_at_work_does_not(checkout):
    plan = make_plan(seeds=[0])
    log = "logs/prepare_molecules/csd10k.log"
    mark_unmade(["results/data/csd10k/molecules.parquet"], log)
    write_text(log, "check molecules:  25%|##   | 25/100\n")
    held = claim(log)
    os.utime(locate_lock(log), (NOW - 120, NOW - 120))
    page = write_status(read_status(plan, NOW))
    assert "prepare_molecules is at work" in page and "2 pending, 0 failed" in page
    assert re.search(r"`prepare_molecules/csd10k` +\| 25 % +\| +2 \| 20\d\d-", page)
    os.close(held)
    write_text(log, "error: no such column\n")
    page = write_status(read_status(plan, NOW))
    assert "failed: prepare_molecules: no such column" in page and "0 pending, 2 failed" in page


def test_a_job_of_another_machine_is_judged_by_its_log(checkout):
    log = "logs/train/a.log"
    write_text(log, "epoch 1 of 12: a\n")
    locate_lock(checkout / log).write_text("process 1 on elsewhere, SLURM job 7", encoding="utf-8")
    os.utime(log, (NOW, NOW))
    assert is_claimed(log) is None
    assert is_at_work(log, NOW + 60) and not is_at_work(log, NOW + jobs.SILENCE + 1)
    write_text(log, "epoch 1 of 12: a\nerror: stopped by SIGTERM\n")
    os.utime(log, (NOW, NOW))
    assert not is_at_work(log, NOW + 60)


def test_where_there_are_no_locks_the_process_tells(checkout, monkeypatch):
    import fcntl

    def unsupported(*_):
        raise OSError("No locks available")

    os.close(claim("log"))
    assert is_claimed("log") is False
    monkeypatch.setattr(fcntl, "flock", unsupported)
    assert is_claimed("log") is True
    locate_lock("log").write_text(f"process {2**22 + 1} on {socket.gethostname()}", encoding="utf-8")
    assert is_claimed("log") is False


@pytest.mark.parametrize(
    ("text", "epochs"),
    [
        ("training on the CPU", None),
        ("epoch 1:  40%|####  | 2/5 [00:10<00:15]", Epochs(0, 0.4, 30)),
        ("epoch 1 of 12: a\nepoch 2:  40%|####  | 2/5", Epochs(0, 1.4, 12)),
        ("epoch 7 of 12: a\nepoch 8:  90%|##| 9/10\nepoch 8 of 12: b", Epochs(6, 8.0, 12)),
    ],
)
def test_the_log_tells_how_far_a_training_is(text, epochs):
    assert read_epochs(text, 30) == epochs


def test_the_log_of_another_step_tells_its_share():
    assert read_share("conformers:  10%|# | 1/10\nconformers:  30%|# | 3/10") == 0.3
    assert read_share("nothing") is None


def test_runs_are_estimated_by_the_nearest_that_are_done(checkout):
    plan = make_plan(tasks=["csd10k/hof", "qm9/hof"], models=["ridge", "physics_ridge", "egnn_small"], seeds=[0])
    runs = {(run.dataset, run.model): run for run in plan.runs}
    finish(runs["csd10k", "ridge"], seconds=16.0, wall=20.0, scoring=6.0)
    sample, sizes = read_record(runs["csd10k", "ridge"])
    assert sample.besides == 10.0
    known = {(name, "hof", "kde"): sizes | {"train": size} for name, size in SIZES.items()}
    speeds = Speeds([sample], plan.models, known)

    def estimate(dataset, model):
        found = speeds.estimate(runs[dataset, model])
        return found and (found.training, found.besides, found.basis)

    assert estimate("csd10k", "ridge") == (16.0, 10.0, "dataset")
    assert estimate("qm9", "ridge") == (200.0, 10.0, "model")
    assert estimate("qm9", "physics_ridge") == (200.0, 10.0, "family")
    assert estimate("qm9", "egnn_small") is None


def test_a_training_with_a_budget_takes_as_long_on_more_molecules(checkout):
    budget = {"of": "egnn_small", "label": "Budget", "parameters": {"training": {"molecules_seen": 600_000}}}
    plan = make_plan(tasks=["csd10k/hof", "qm9/hof"], models=["budget"], seeds=[0], variants={"budget": budget})
    known, other = plan.runs
    finish(known, seconds=16.0)
    sample, sizes = read_record(known)
    speeds = Speeds([sample], plan.models, {(other.dataset, "hof", "kde"): sizes | {"train": 100_000}})
    assert speeds.estimate(other).training == 16.0


def test_a_training_that_waits_for_its_scores_tells_how_long_others_take(checkout):
    plan = make_plan(models=["egnn_small"])
    first, second = plan.runs
    finish(first, seconds=30.0, wall=34.0)
    (checkout / f"results/metrics/{first.stem}.json").unlink()
    status = read_status(plan, NOW)
    assert (status.count("done"), status.count("pending")) == (0, 2)
    assert (status.left[first].seconds, status.left[second].seconds) == (4.0, 34.0)
    mark_unmade([f"results/predictions/{first.stem}.parquet"], f"logs/train/{first.stem}.log")
    assert read_status(plan, NOW).left[second].seconds is None, "it is to be trained again"


def test_a_training_that_was_interrupted_counts_with_the_epochs_before(checkout):
    run = make_plan().runs[-1]
    finish(run, seconds=60.0, wall=70.0, resumed=True)
    write_text(f"logs/train/{run.stem}.log", "epoch 10 of 12: a\nepoch 11 of 12: b\nepoch 12 of 12: c\n")
    assert read_record(run)[0].training == pytest.approx(240.0)
    assert read_record(run)[0].besides == pytest.approx(10.0)


def test_a_training_that_valid_ends_early_is_expected_to_take_as_many_epochs_as_its_likes(checkout):
    plan = make_plan(models=["egnn"])
    done, running = plan.runs
    finish(done, 400.0)
    write_text(f"results/predictions/{done.stem}/history.csv", "epoch,valid_rmse\n" + "1,2\n" * 40)
    with training(running, NOW - 100, "epoch 9 of 100: a", "epoch 10 of 100: a", "epoch 11: 0%|"):
        status = read_status(plan, NOW)
    assert status.left[running].seconds == pytest.approx(50 * 30)


def test_folds_of_a_task_that_has_not_been_trained_on_are_counted(checkout):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = checkout / "results/tasks/csd10k/hof/kde.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table({"fold": fold_array(["train"] * 5 + ["id"] * 2 + ["ood"])}), path)
    page = write_status(read_status(make_plan(), NOW))
    assert re.search(r"\| ready +\| +5 \| +2 \| +1 \|", page)


def test_a_model_that_only_others_read_is_a_run_too(checkout):
    plan = make_plan(models=["committee"], seeds=[0])
    members = plan.models["committee"]["parameters"]["members"]
    states = {each.run.model: each.status for each in read_status(plan, NOW).runs}
    assert set(states) == {"committee", *members}
    run = plan.list_member_runs(plan.runs[0])[0]
    finish(run, 1.0)
    (checkout / f"results/metrics/{run.stem}.json").unlink()
    assert {each.run.model: each.status for each in read_status(plan, NOW).runs}[members[0]] == "done"


def count_opened(folder) -> list[str]:
    """The files below a folder that are opened from now on, as a list that grows."""
    opened: list[str] = []

    def note(event: str, arguments: tuple) -> None:
        if event == "open" and isinstance(arguments[0], str | os.PathLike):
            path = folder / arguments[0]  # one that is absolute stays as it is
            if path.is_relative_to(folder):
                opened.append(str(path))

    sys.addaudithook(note)
    return opened


def test_two_thousand_runs_are_read_from_few_small_files(checkout):
    tasks = [f"qm9/{name}" for name in ("hof", "mu", "alpha", "homo", "lumo", "gap", "r2", "zpve", "cv")]
    tasks.append("csd10k/hof")
    plan = make_plan(
        tasks=tasks,
        models=["ridge", "mlp", "random_forest", "egnn_small", "mace_small"],
        seeds=list(range(20)),
        schemes=["kde", "scaffold"],
    )
    assert len(plan.runs) == 2000
    for run in plan.runs[:1500]:
        finish(run, 10.0)
    waiting = plan.runs[1500:]
    for run in waiting:
        mark_unmade([f"results/predictions/{run.stem}.parquet"], f"logs/train/{run.stem}.log")
    opened = count_opened(checkout)
    status = read_status(plan, NOW)
    assert (status.count("done"), status.count("pending")) == (1500, 500)
    assert len([path for path in opened if path.endswith(".parquet")]) == 0
    assert len(opened) <= 3 * 1500 + 6 * 500


def simulate(seed: int) -> list[tuple[float, float]]:
    """An hour of one job after another; at each run's end the share that is over, and estimated by true time left.

    Models differ in speed by a factor of a hundred, datasets in size by twelve, runs of a kind by a few per cent.
    """
    plan = make_plan(
        tasks=["csd10k/hof", "qm9/hof", "csd10k/density", "qm9/gap"],
        models=["ridge", "random_forest", "mlp", "egnn_small", "chemprop_small"],
        seeds=[0, 1, 2],
    )
    chance = random.Random(seed)
    rates = {"ridge": 1, "random_forest": 10, "mlp": 20, "egnn_small": 100, "chemprop_small": 60}
    weights = {run: rates[run.model] * SIZES[run.dataset] * chance.uniform(0.9, 1.1) for run in plan.runs}
    besides = {run: chance.uniform(4, 6) for run in plan.runs}
    scale = (3600 - sum(besides.values())) / sum(weights.values())
    order = chance.sample(plan.runs, len(plan.runs))
    over, found = 0.0, []
    for run in order[:-1]:
        taken = weights[run] * scale
        finish(run, taken, wall=taken + besides[run] / 2, scoring=besides[run] / 2)
        over += taken + besides[run]
        found.append((over / 3600, read_status(plan, NOW + over).seconds_left / (3600 - over)))
    return found


@pytest.mark.parametrize("seed", range(3))
def test_from_a_quarter_of_an_hour_of_work_on_the_time_left_is_known_to_30_percent(checkout, seed):
    found = simulate(seed)
    assert [(share, ratio) for share, ratio in found if share >= 0.25 and not 0.7 <= ratio <= 1.3] == []
    assert len([share for share, _ in found if share >= 0.25]) > 10
