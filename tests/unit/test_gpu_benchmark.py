"""The short run for a GPU, tried without one."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT
from tiny import MODELS, write_benchmark

NAMES = ("egnn_small", "tgnn_small")


@pytest.mark.slow
def test_without_a_gpu_it_writes_a_row_a_model(tmp_path):
    data, out = tmp_path / "tiny", tmp_path / "out"
    data.mkdir()
    write_benchmark(data, {feature for name in NAMES for feature in MODELS[name]["features"]})
    command = [sys.executable, ROOT / "benchmarks/gpu.py", data, "--out", out, "--cpu", "--no-snakemake"]
    subprocess.run([*command, "--models", *NAMES], check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    models = json.loads((out / "gpu.json").read_text())["models"]
    assert list(models) == list(NAMES)
    for row in models.values():
        assert row["failed"] == {}
        assert row["check"]["device"].startswith("CPU (")
        assert (row["check"]["from_cpu"], row["check"]["from_whole"], row["check"]["epochs"]) == (0, 0, 3)
        assert row["speed"]["tiny"]["training"] > 0
        assert row["speed"]["tiny"]["prediction"] > 0
    text = (out / "gpu.md").read_text()
    assert [text.count(f"| {MODELS[name]['label']} ") for name in NAMES] == [2, 2]


def test_what_takes_too_long_ends_with_all_that_it_has_started(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from gpu_workflow import run_for

    log = tmp_path / "log"
    with pytest.raises(subprocess.TimeoutExpired):
        run_for(["bash", "-c", "sleep 600 & echo $!; wait"], log, 2)
    state = Path(f"/proc/{int(log.read_text())}/stat")
    for _ in range(100):  # a busy machine takes its time to end it
        # one that nobody has waited for yet is dead all the same
        if not state.exists() or "(sleep) Z" in state.read_text():
            break
        time.sleep(0.1)
    else:
        pytest.fail(f"still there: {state.read_text()}")
    with pytest.raises(subprocess.CalledProcessError):
        run_for(["false"], log, 60)


@pytest.mark.slow
def test_the_peak_of_memory_is_that_of_a_process_that_trained_and_predicted(tmp_path):
    write_benchmark(tmp_path, MODELS["tgnn_small"]["features"])
    command = [sys.executable, ROOT / "benchmarks/memory.py", tmp_path, "--models", "tgnn_small", "--steps", "1"]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    label, molecules, peak = [cell.strip() for cell in done.stdout.splitlines()[-1].strip("|").split("|")]
    assert (label, molecules) == (MODELS["tgnn_small"]["label"], "24")
    assert 100 < float(peak) < 4096


def test_a_call_that_is_too_slow_or_fails_is_the_only_one_that_is_lost(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from worker import Worker, WorkerError

    worker = Worker("os", {"GIVEN": "1"})
    assert worker.call(60, "getenv", "GIVEN") == "1"
    assert "GIVEN" not in os.environ
    first = worker.call(60, "getpid")
    with pytest.raises(WorkerError, match="IsADirectoryError: "):
        worker.call(60, "truncate", "/", 0)
    with pytest.raises(WorkerError, match="its process died with status 3"):
        worker.call(60, "_exit", 3)
    with pytest.raises(WorkerError, match="stopped after 0 s"):
        worker.call(0.2, "system", "sleep 1")
    assert worker.call(60, "getpid") != first
    worker.stop()
