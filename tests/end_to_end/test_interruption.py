"""What is killed and started again ends with the files of what was left alone."""

import hashlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time

import psutil
import pytest
from conftest import make_molecules, make_project

pytestmark = pytest.mark.slow

KILLS = 3


def larger_project(folder):
    """A project with enough molecules to be killed while it works on them, and both schemes of splitting."""
    project = make_project(folder)
    make_molecules(300).to_csv(project.folder / "tiny.csv", index=False)
    project.write_config(schemes=["kde", "scaffold"])
    return project


def files_of(project):
    """The hash of every file below results by its path, hidden files included."""
    root = project.folder / "results"
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def prepare_and_kill(project, jobs, seconds):
    """Kill Snakemake, its jobs and their workers at once, some seconds after the given number of jobs have started."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "prepare"]
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    process = subprocess.Popen(command, cwd=project.folder, start_new_session=True, **pipe)
    seen = []
    for line in process.stdout:
        seen.append(line)
        jobs -= bool(re.match(r" *Job \d+:", line))
        if jobs == 0:
            break
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGKILL)
    # ends when the last of them is dead, since each holds the other end of the pipe
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL, "".join(seen)


def test_a_killed_preparation_ends_with_the_same_files(tmp_path):
    undisturbed, killed = larger_project(tmp_path / "undisturbed"), larger_project(tmp_path / "killed")
    undisturbed.snakemake("prepare")
    moments = random.Random(0)
    for _ in range(KILLS):
        prepare_and_kill(killed, jobs=moments.randint(1, 2), seconds=moments.uniform(0, 2))
    killed.snakemake("prepare")
    assert files_of(killed) == files_of(undisturbed)


TRAINING = "results/predictions/tiny/size/kde/short"


def training_project(folder):
    """A project with one small network of 80 epochs, which take seconds."""
    project = make_project(folder)
    short = {"of": "chemberta_small", "label": "Short", "parameters": {"training": {"epochs": 80}}}
    project.write_config(models=["short"], variants={"short": short})
    return project


def train_until(project, epoch):
    """Start Snakemake; returns it and its training job's process once that is in the given epoch."""
    log = "logs/train/tiny/size/kde/short/seed0.log"
    return project.train_until(log, epoch, "--cores", "2", f"{TRAINING}/seed0.parquet")


def test_a_training_that_is_asked_to_end_says_so_and_goes_on_where_it_was(tmp_path):
    undisturbed, stopped = training_project(tmp_path / "undisturbed"), training_project(tmp_path / "stopped")
    undisturbed.snakemake(f"{TRAINING}/seed0.parquet")
    for epoch, end in ((5, psutil.Process.terminate), (15, psutil.Process.kill)):
        process, job = train_until(stopped, epoch)
        end(job)
        output = process.communicate(timeout=60)[0]
        assert process.returncode == 1, output
        if end is psutil.Process.terminate:
            assert "error: stopped by SIGTERM" in output
            assert (stopped.folder / TRAINING / "seed0/failure.json").exists(), output
            failure = json.loads((stopped.folder / TRAINING / "seed0/failure.json").read_text())
            assert failure["message"].startswith("stopped by SIGTERM: a time limit, a preemption, a cancellation")
        assert not (stopped.folder / TRAINING / "seed0.parquet").exists()
    stopped.snakemake(f"{TRAINING}/seed0.parquet")
    log = (stopped.folder / "logs/train/tiny/size/kde/short/seed0.log").read_text()
    assert int(re.search(r"epoch (\d+) of ", log)[1]) >= 13
    for file in ("seed0.parquet", "seed0/history.csv", "seed0/epochs.parquet"):
        assert (stopped.folder / TRAINING / file).read_bytes() == (undisturbed.folder / TRAINING / file).read_bytes()
    assert not (stopped.folder / TRAINING / "seed0/failure.json").exists()


def test_a_training_ends_with_its_snakemake_and_the_same_command_goes_on(tmp_path):
    undisturbed, killed = training_project(tmp_path / "undisturbed"), training_project(tmp_path / "killed")
    undisturbed.snakemake(f"{TRAINING}/seed0.parquet")
    process, job = train_until(killed, 5)
    process.kill()
    killed.snakemake(f"{TRAINING}/seed0.parquet")
    assert not job.is_running()
    log = (killed.folder / "logs/train/tiny/size/kde/short/seed0.log").read_text()
    assert int(re.search(r"epoch (\d+) of ", log)[1]) >= 4
    for file in ("seed0.parquet", "seed0/history.csv", "seed0/epochs.parquet"):
        assert (killed.folder / TRAINING / file).read_bytes() == (undisturbed.folder / TRAINING / file).read_bytes()


def test_two_runs_in_one_checkout_refuse_each_other(tmp_path):
    project = training_project(tmp_path / "p")
    process, job = train_until(project, 1)
    job.suspend()
    second = project.snakemake(f"{TRAINING}/seed0.parquet", check=False)
    job.resume()
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert second.returncode != 0
    assert "cannot be locked" in second.stdout
