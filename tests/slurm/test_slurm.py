"""The workflow on a real Slurm: what is submitted, with which resources, again after a failure or a change.

One node and one finished run serve all tests; each test works on a copy, whose jobs Slurm tells apart by their folder.
"""

import hashlib
import re
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml
from conftest import ROOT, Project, make_project
from slurm_node import Job, SlurmNode, missing_programs

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("slurm")]  # one node for all

PROFILE = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
# times to wait that would not do on a real cluster; all else as the profile has it
SOON = ("--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "5")
COMMAND = [sys.executable, "-m", "snakemake", "--workflow-profile", "profiles/slurm", *SOON]
CONFORMERS = "results/features/tiny/conformers.parquet"
MODELS = ["train_mean", "ridge", "egnn_small"]
FEATURES = ["elements", "descriptors", "morgan_counts", "graph", "conformers"]
FIRST_RUN = {
    "prepare_molecules tiny",
    "make_split tiny_size_kde",
    "fit_domain tiny_size_kde",
    "train_control tiny_size_kde_train_mean_0",
    "train_tabular tiny_size_kde_ridge_0",
    "train_gnn tiny_size_kde_egnn_small_0",
    *(f"featurize tiny_{feature}" for feature in FEATURES),
}


@pytest.fixture(scope="module")
def node():
    pytest.importorskip("snakemake_executor_plugin_slurm")
    if lacking := missing_programs():
        pytest.skip(f"not installed: {', '.join(lacking)} (Debian packages slurm-wlm, munge)")
    with SlurmNode() as node:
        yield node


def run(node: SlurmNode, project: Project, *arguments: str, check: bool = True) -> subprocess.CompletedProcess:
    """Run the workflow on the node; output is one text."""
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    done = subprocess.run([*COMMAND, *arguments], cwd=project.folder, env=node.environment, **pipe, check=False)
    assert not check or done.returncode == 0, done.stdout
    return done


def names(jobs: list[Job]) -> list[str]:
    return sorted(f"{job.rule} {job.wildcards}" for job in jobs)


def asked(rule: str, attempt: int) -> tuple[str, int, int, str]:
    """Partition, memory, minutes and GPUs that the profile has a rule ask for."""
    entry = PROFILE["default-resources"] | PROFILE["set-resources"][rule]
    memory, minutes = (int(entry[key].removesuffix(" * attempt")) * attempt for key in ("mem_mb", "runtime"))
    partition = entry["slurm_partition"]
    return partition, memory, minutes, "gpu:1" if partition == "gpu" else ""


def got(job: Job) -> tuple[str, int, int, str]:
    return job.partition, job.memory_mb, job.minutes, job.gpus


def results_of(project: Project) -> dict[str, str]:
    """The hash of every result by its path, but of run.json and runs.csv, which hold times."""
    root = project.folder / "results"
    files = (path for path in root.rglob("*") if path.is_file() and path.name not in ("run.json", "runs.csv"))
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def tiny_project(folder) -> Project:
    project = make_project(folder)
    project.edit("config/models/egnn_small.yaml", "epochs: 12", "epochs: 1")
    project.write_config(models=MODELS)
    return project


@pytest.fixture(scope="module")
def on_slurm(node, tmp_path_factory) -> Project:
    """A project whose benchmark has run on Slurm once. Tests copy it before they change anything."""
    project = tiny_project(tmp_path_factory.mktemp("slurm") / "project")
    run(node, project, "results/leaderboard.md")
    return project


def test_every_job_but_the_local_ones_goes_through_slurm_with_its_resources(node, on_slurm):
    jobs = node.jobs(on_slurm.folder)
    assert names(jobs) == sorted(FIRST_RUN)
    assert {job.state for job in jobs} == {"COMPLETED"}
    assert {job.account for job in jobs} == {PROFILE["default-resources"]["slurm_account"]}
    assert {job.rule for job in jobs if job.gpus} == {"train_gnn"}
    assert {job: got(job) for job in jobs} == {job: asked(job.rule, 1) for job in jobs}


def test_results_equal_those_of_one_machine(on_slurm, tmp_path):
    local = tiny_project(tmp_path / "local")
    local.snakemake("results/leaderboard.md")
    assert results_of(on_slurm) == results_of(local)


def test_a_failing_job_is_tried_again_with_more_then_reported_and_alone_made_again(node, on_slurm, tmp_path):
    project = on_slurm.copy(tmp_path / "p")
    works, fails = "def fit(", "def fit(self, *_):\n        raise RuntimeError('no luck')\n\n    def unused("
    project.edit("boomlib/models/tabular/ridge.py", works, fails)
    project.write_config(models=[*MODELS, "oracle"])
    done = run(node, project, "--retries", "1", "results/leaderboard.md", check=False)
    assert done.returncode != 0
    jobs = node.jobs(project.folder)
    tries = [job for job in jobs if job.wildcards == "tiny_size_kde_ridge_0"]
    assert [job.state for job in tries] == ["FAILED", "FAILED"]
    assert [got(job) for job in tries] == [asked("train_tabular", 1), asked("train_tabular", 2)]
    others = [job for job in jobs if job not in tries]
    assert names(others) == ["train_control tiny_size_kde_oracle_0"]
    assert others[0].state == "COMPLETED"
    reported = (
        "Error in rule train_tabular",
        "log: logs/train/tiny/size/kde/ridge/seed0.log",
        "logs/slurm/rule_train_tabular/tiny_size_kde_ridge_0/",
        "RuntimeError: no luck",
    )
    assert [part for part in reported if part not in done.stdout] == []
    text = (project.folder / "results/leaderboard.partial.md").read_text()
    assert "RuntimeError: no luck" in text
    assert "Oracle" in text

    project.edit("boomlib/models/tabular/ridge.py", fails, works)
    run(node, project, "results/leaderboard.md")
    assert names(node.jobs(project.folder)[len(jobs) :]) == ["train_tabular tiny_size_kde_ridge_0"]
    assert "Every run finished." in (project.folder / "results/leaderboard.md").read_text()


def test_one_target_of_another_task_submits_what_it_needs(node, on_slurm, tmp_path):
    project = on_slurm.copy(tmp_path / "p")
    project.write_config(models=MODELS, tasks=["tiny/size", "tiny/polarity"])
    run(node, project, "results/metrics/tiny/polarity/kde/train_mean/seed0.json")
    submitted = ["make_split tiny_polarity_kde", "train_control tiny_polarity_kde_train_mean_0"]
    assert names(node.jobs(project.folder)) == submitted


def test_a_hyperparameter_submits_its_model(node, on_slurm, tmp_path):
    project = on_slurm.copy(tmp_path / "p")
    project.edit("config/models/ridge.yaml", "margin: 1.0", "margin: 2.0")
    run(node, project, "results/leaderboard.md")
    assert names(node.jobs(project.folder)) == ["train_tabular tiny_size_kde_ridge_0"]


def test_code_of_a_model_submits_its_model(node, on_slurm, tmp_path):
    project = on_slurm.copy(tmp_path / "p")
    project.edit("boomlib/models/tabular/ridge.py", "class Ridge(", "REMARK = 1\n\n\nclass Ridge(")
    run(node, project, "results/leaderboard.md")
    assert names(node.jobs(project.folder)) == ["train_tabular tiny_size_kde_ridge_0"]


def test_jobs_share_a_feature_and_their_parts_are_that_of_one_machine(node, on_slurm, tmp_path):
    project = make_project(tmp_path / "p")
    project.write_config(feature_jobs=3)
    run(node, project, CONFORMERS)
    parts = [f"featurize_part tiny_conformers_{part}_3" for part in (1, 2, 3)]
    assert names(node.jobs(project.folder)) == [*parts, "merge_feature tiny_conformers", "prepare_molecules tiny"]
    assert (project.folder / CONFORMERS).read_bytes() == (on_slurm.folder / CONFORMERS).read_bytes()


TRAINING = "tiny/size/kde/egnn_small/seed0"


def longer_training(folder) -> Project:
    """A project whose training takes long enough to be disturbed."""
    project = tiny_project(folder)
    project.edit("config/models/egnn_small.yaml", "epochs: 1", "epochs: 40")
    return project


def train_until_epoch_5(node: SlurmNode, project: Project) -> subprocess.Popen:
    """Start the workflow; returns Snakemake once the training is in that epoch."""
    target = f"results/predictions/{TRAINING}.parquet"
    snakemake = subprocess.Popen(
        [*COMMAND, target], cwd=project.folder, env=node.environment, stdout=subprocess.DEVNULL
    )
    while not (log_of(project).exists() and "epoch 5 of " in log_of(project).read_text()):
        assert snakemake.poll() is None
        time.sleep(0.1)
    return snakemake


def log_of(project: Project) -> Path:
    return project.folder / f"logs/train/{TRAINING}.log"


def first_epoch(project: Project) -> int:
    """The epoch with which the last process of the training began."""
    return int(re.search(r"epoch (\d+) of ", log_of(project).read_text())[1])


def test_a_training_that_slurm_puts_back_into_the_queue_ends_with_the_same_bytes(node, tmp_path):
    undisturbed, requeued = longer_training(tmp_path / "undisturbed"), longer_training(tmp_path / "requeued")
    target = f"results/predictions/{TRAINING}.parquet"
    undisturbed.snakemake(target)
    snakemake = train_until_epoch_5(node, requeued)
    job = node.jobs(requeued.folder)[-1]
    node.ask("scontrol", "requeue", job.number)
    assert snakemake.wait(timeout=300) == 0
    assert node.jobs(requeued.folder)[-1].number == job.number
    assert first_epoch(requeued) >= 4
    assert (requeued.folder / target).read_bytes() == (undisturbed.folder / target).read_bytes()


def test_a_job_that_outlives_its_snakemake_is_named_and_after_its_end_the_same_command_goes_on(node, tmp_path):
    project = longer_training(tmp_path / "p")
    project.edit("boomlib/processes.py", "WAIT = 2 * GRACE", "WAIT = 2.0")
    target = f"results/predictions/{TRAINING}.parquet"
    snakemake = train_until_epoch_5(node, project)
    snakemake.kill()
    snakemake.wait()
    claimed = log_of(project).with_name(".seed0.log.lock").read_text()
    training = psutil.Process(int(re.search(r"process (\d+) on", claimed)[1]))
    training.suspend()

    again = run(node, project, "--retries", "0", target, check=False)
    assert again.returncode != 0
    (orphan,) = [job for job in node.jobs(project.folder) if job.state == "RUNNING"]
    assert f"SLURM job {orphan.number}); end it (on a cluster: scancel)" in again.stdout

    node.ask("scancel", orphan.number)
    training.wait(timeout=60)
    run(node, project, target)
    assert first_epoch(project) >= 4


def test_a_new_seed_submits_that_seed(node, on_slurm, tmp_path):
    project = on_slurm.copy(tmp_path / "p")
    project.write_config(models=MODELS, seeds=[0, 1])
    run(node, project, "results/leaderboard.md")
    assert names(node.jobs(project.folder)) == sorted(
        [
            "train_control tiny_size_kde_train_mean_1",
            "train_tabular tiny_size_kde_ridge_1",
            "train_gnn tiny_size_kde_egnn_small_1",
        ]
    )
