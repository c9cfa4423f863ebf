"""A preparation that is killed and started again ends with the files of one that was left alone."""

import hashlib
import os
import random
import re
import signal
import subprocess
import sys
import time

from conftest import make_molecules, make_project

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
        killed.snakemake("--unlock")
    killed.snakemake("prepare")
    assert files_of(killed) == files_of(undisturbed)
