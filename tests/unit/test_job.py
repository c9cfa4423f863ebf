"""What a job prints goes to its log; the terminal gets a line now and then that says whose it is."""

import os
import signal
import subprocess
import sys

import pytest
from conftest import ROOT

from boomlib.processes import SNAKEMAKE
from boomlib.reasons import read_reason

JOB = """
import logging, os, subprocess, sys
from boomlib.files import ContractError
from workflow_scripts.job import logged

logger = logging.getLogger("boomlib.harness.training")
with logged("job.log"):
    print("printed")
    sys.stderr.write("to the other stream\\n")
    os.write(2, b"by a compiled library\\n")
    subprocess.run(["echo", "by a child"])
    for step in range(4):
        logger.info("epoch %d", step)
        logger.debug("batch %d", step)
    logger.warning("take care")
    if sys.argv[1:] == ["fails"]:
        raise ValueError("a broken label")
    if sys.argv[1:] == ["contract"]:
        raise ContractError("x.csv: no\\n  column; set it")
    if sys.argv[1:] == ["memory"]:
        raise MemoryError
"""


def run_job(tmp_path, *arguments: str, script: str = JOB) -> subprocess.CompletedProcess:
    (tmp_path / "job.log").write_text("of an earlier job")
    environment = os.environ | {SNAKEMAKE: str(os.getpid()), "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_output_goes_to_the_log(tmp_path):
    done = run_job(tmp_path)
    assert done.returncode == 0, done.stderr
    log = (tmp_path / "job.log").read_text()
    said = ["printed", "to the other stream", "by a compiled library", "by a child", "epoch 0", "batch 0", "epoch 3"]
    places = [log.index(text) for text in said]
    assert places == sorted(places)
    assert "an earlier job" not in log


def test_the_terminal_gets_a_line_now_and_then_with_the_name_of_the_log(tmp_path):
    done = run_job(tmp_path)
    assert done.stdout == ""
    assert done.stderr == "job.log: epoch 0\njob.log: epoch 1\njob.log: take care\n"


@pytest.mark.parametrize(
    ("failure", "reason", "end"),
    [
        ("fails", "ValueError: a broken label", "ValueError: a broken label\nerror: ValueError: a broken label\n"),
        ("memory", "MemoryError", "MemoryError\nerror: MemoryError\n"),
        (
            "contract",
            "x.csv: no column; set it",
            "take care\nx.csv: no\n  column; set it\nerror: x.csv: no column; set it\n",
        ),
    ],
)
def test_a_failure_is_told_in_the_log_alone_which_ends_with_the_reason(tmp_path, failure, reason, end):
    done = run_job(tmp_path, failure)
    assert done.returncode == 1
    assert reason not in done.stdout + done.stderr
    log = (tmp_path / "job.log").read_text()
    assert log.endswith(end)
    assert ("Traceback" in log) == (failure != "contract")
    assert read_reason(tmp_path / "job.log") == reason


STOPPED = """
import logging, os, signal, sys
from workflow_scripts import job

class Slow:
    def write(self, text):
        os.kill(os.getpid(), signal.SIGTERM)  # just while a line is written
    def flush(self):
        pass

with job.logged("job.log", resumes=True):
    logger = logging.getLogger("boomlib")
    logger.handlers[1].setStream(Slow())
    logger.info("epoch 1")
    print("went on")
"""


def test_a_request_to_end_that_comes_while_a_line_is_written_is_heard(tmp_path):
    done = run_job(tmp_path, script=STOPPED)
    assert done.returncode == 1
    log = (tmp_path / "job.log").read_text()
    assert "stopped by SIGTERM" in log
    assert "went on" not in log


INTERRUPTED = """
import os, signal
from workflow_scripts.job import logged

with logged("job.log"):
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:  # as scikit-learn's MLP does
        pass
    print("went on with half an epoch")
"""


def test_an_interrupted_job_dies_whatever_catches_a_keyboard_interrupt(tmp_path):
    done = run_job(tmp_path, script=INTERRUPTED)
    assert done.returncode == -signal.SIGINT
    assert "went on" not in (tmp_path / "job.log").read_text()
