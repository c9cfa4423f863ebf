import errno
import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import psutil
import pytest
from conftest import ROOT

from boomlib import processes
from boomlib.contracts import write_molecules
from boomlib.files import ContractError
from boomlib.processes import claim, release_dead_locks

linux = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux")


def start(code: str, *arguments: object) -> subprocess.Popen:
    """A process that runs ``code`` and has said that it is ready, with a line."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    process = subprocess.Popen(command, cwd=ROOT, text=True, **pipes)
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.fixture
def other():
    """A process that lives until it is told to end."""
    process = start("print('ready', flush=True); input()")
    yield process
    process.kill()
    process.communicate()


FOLLOWS = """
import sys, time
from boomlib import processes
if len(sys.argv) > 2:
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    processes.GRACE = 0.5
print("ready", flush=True)
processes.end_with(int(sys.argv[1]))
time.sleep(60)
"""


@linux
@pytest.mark.parametrize(("arguments", "number"), [([], signal.SIGTERM), (["deaf"], signal.SIGKILL)])
def test_a_process_ends_with_another_whether_it_listens_or_not(other, arguments, number):
    process = start(FOLLOWS, other.pid, *arguments)
    time.sleep(1)
    assert process.poll() is None
    other.kill()
    other.wait()
    assert process.wait(timeout=20) == -number


@linux
def test_a_process_ends_at_once_if_the_other_has_ended_before(other):
    other.kill()
    other.wait()
    assert start(FOLLOWS, other.pid).wait(timeout=20) == -signal.SIGTERM


def test_a_job_whose_log_another_one_writes_is_refused_and_the_other_named(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "WAIT", 0)
    monkeypatch.setenv("SLURM_JOB_ID", "1234")
    log = tmp_path / "seed0.log"
    held = claim(log)
    with pytest.raises(ContractError, match=rf"seed0.log: .*\(process {os.getpid()} on .*, SLURM job 1234\); end it"):
        claim(log)
    os.close(held)
    os.close(claim(log))


def test_a_job_waits_for_one_that_is_about_to_end(tmp_path):
    held = claim(tmp_path / "log")
    threading.Timer(1.5, os.close, [held]).start()
    os.close(claim(tmp_path / "log"))


def test_a_file_system_without_locks_is_reported_and_left_alone(tmp_path, monkeypatch, capsys):
    def unsupported(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    os.close(claim(tmp_path / "log"))
    assert "log.lock: no lock: [Errno" in capsys.readouterr().err
    lock = tmp_path / ".snakemake/locks/0.input.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    release_dead_locks(tmp_path / ".snakemake")
    assert lock.exists()


RUN = """
import sys
from pathlib import Path
from boomlib.processes import release_dead_locks
release_dead_locks(sys.argv[1])
Path(sys.argv[1], "locks").mkdir(exist_ok=True)
Path(sys.argv[1], "locks", sys.argv[2] + ".lock").touch()
print("ready", flush=True)
input()
"""


def test_locks_are_released_when_the_run_that_wrote_them_is_dead(tmp_path):
    def locks():
        return sorted(path.stem for path in (tmp_path / "locks").iterdir())

    first = start(RUN, tmp_path, "first")
    second = start(RUN, tmp_path, "second")
    assert locks() == ["first", "second"], "the first still runs"
    first.kill()
    first.communicate()
    third = start(RUN, tmp_path, "third")
    assert locks() == ["first", "second", "third"], "the second still runs"
    for each in (second, third):
        each.kill()
        each.communicate()
    fourth = start(RUN, tmp_path, "fourth")
    assert locks() == ["fourth"]
    fourth.kill()
    fourth.communicate()
    (tmp_path / "running").write_text("another machine")
    release_dead_locks(tmp_path)
    assert locks() == ["fourth"]


def test_releasing_locks_leaves_what_is_beside_snakemakes_own_folder_alone(tmp_path, monkeypatch):
    (tmp_path / "results/data").mkdir(parents=True)
    (tmp_path / "results/leaderboard.csv").write_text("a table")
    (tmp_path / ".snakemake/locks").mkdir(parents=True)
    (tmp_path / ".snakemake/locks/0.output.lock").touch()
    (tmp_path / ".snakemake/running").write_text(socket.gethostname())

    def seen():
        return {path: path.stat().st_mtime_ns for path in [tmp_path, *(tmp_path / "results").rglob("*")]}

    before = seen()
    monkeypatch.chdir(tmp_path)
    release_dead_locks(".snakemake")
    assert not list((tmp_path / ".snakemake/locks").iterdir())
    assert seen() == before


COMPUTES = """
import sys, time, types
import boomlib.features
from boomlib.featurize import compute_feature
module = types.ModuleType("boomlib.features.slow")
module.CHUNK = 1
def compute(smiles):
    time.sleep(60 if smiles else 0)
    return {}
module.compute = compute
sys.modules["boomlib.features.slow"] = module
print("ready", flush=True)
compute_feature("slow", sys.argv[1], sys.argv[2], workers=2)
"""


@pytest.fixture
def computing(tmp_path):
    """A job that computes a slow feature with two workers, and these."""
    write_molecules(tmp_path / "molecules.parquet", ["C", "CC"], {}, {})
    job = start(COMPUTES, tmp_path / "molecules.parquet", tmp_path / "slow.parquet")
    end = time.monotonic() + 30
    while len(workers := workers_of(job)) < 2 and time.monotonic() < end:
        time.sleep(0.1)
    time.sleep(2)
    yield job, workers
    job.kill()
    job.communicate()


def workers_of(job: subprocess.Popen) -> list[psutil.Process]:
    """The worker processes of a job, without the one that looks after what they share."""
    return [child for child in psutil.Process(job.pid).children() if "LokyProcess" in " ".join(child.cmdline())]


@linux
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_their_job(computing, number):
    job, workers = computing
    job.send_signal(number)
    assert job.wait(timeout=20) == -number
    assert psutil.wait_procs(workers, timeout=20)[1] == []


@linux
def test_a_job_ends_with_the_first_worker_that_is_killed(computing, tmp_path):
    job, workers = computing
    workers[0].kill()
    assert job.wait(timeout=20) == 1
    assert "ContractError: a worker process of this job was killed, perhaps for want of memory" in job.stderr.read()
    assert psutil.wait_procs(workers, timeout=20)[1] == []
    assert not (tmp_path / "slow.parquet").exists()


@pytest.mark.parametrize("name", ["my dir", "it's", "a$HOME", "(b)"])
def test_a_shell_gets_the_path_of_python_whole(tmp_path, monkeypatch, name):
    python = tmp_path / name / "python"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr(os, "environ", dict(os.environ))
    for _ in range(2):
        processes.lead_jobs(str(tmp_path))
        done = subprocess.run(
            f"{sys.executable} -c 'print(7)'", shell=True, capture_output=True, text=True, check=True
        )
        assert done.stdout == "7\n"


@pytest.mark.parametrize("letter", [":", "{", "}"])
def test_a_checkout_whose_path_cannot_be_handed_to_jobs_is_refused(monkeypatch, letter):
    monkeypatch.setattr(os, "environ", dict(os.environ))
    with pytest.raises(
        ContractError, match=rf"^/a\{letter}b: no job runs in a path with '\{letter}', .*move the checkout"
    ):
        processes.lead_jobs(f"/a{letter}b")
