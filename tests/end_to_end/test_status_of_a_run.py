"""The status before, during and after a small run, printed and as a target; nothing else is made for it."""

import re
import subprocess
import sys

import pytest
from conftest import make_project

pytestmark = pytest.mark.slow

STATUS = "results/status.md"
TARGETS = [f"results/metrics/tiny/size/kde/{model}/seed0.json" for model in ("ridge", "short")]
LOG = "logs/train/tiny/size/kde/short/seed0.log"


def read_files(project):
    """Every file below results but the status, with its date."""
    root = project.folder / "results"
    return {
        str(path): path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file() and path.name != "status.md"
    }


def read_status(project):
    """The page that the command line prints."""
    command = [sys.executable, "-m", "boomlib.status"]
    return subprocess.run(command, cwd=project.folder, capture_output=True, text=True, check=True).stdout


def make_status(project):
    """The page that Snakemake writes."""
    project.snakemake(STATUS)
    return (project.folder / STATUS).read_text()


def describe(page):
    """The cells of ridge and of the network, and of the task's data."""
    models = {name: re.search(rf"^\| {name} +\| (.+?) +\|", page, re.M)[1] for name in ("ridge", "short")}
    return models["ridge"], models["short"], re.search(r"\| kde +\| (.+?) +\|", page)[1]


def test_a_run_is_seen_before_it_begins_while_it_trains_when_it_was_killed_and_at_its_end(tmp_path):
    project = make_project(tmp_path / "project")
    short = {"of": "chemberta_small", "label": "Short", "parameters": {"training": {"epochs": 40}}}
    project.write_config(models=["ridge", "short"], variants={"short": short})

    assert describe(read_status(project)) == describe(make_status(project)) == ("pending", "pending", "pending")
    assert read_files(project) == {}
    partial = project.folder / "results/leaderboard.partial.md"
    partial.write_text("of an earlier command")

    process, job = project.train_until(LOG, 3, "--cores", "1", *TARGETS)
    job.suspend()
    before = read_files(project)
    pages = read_status(project), make_status(project)
    assert read_files(project) == before
    assert partial.exists()
    for page in pages:
        assert describe(page)[1:] == ("0 of 1, 1 running", "ready")
        assert re.search(r"`tiny/size/kde/short/seed0` +\| epoch \d+ of 40 +\| +\d+ \| +20\d\d-", page)
        assert "**Left: " in page
    job.kill()
    process.communicate(timeout=120)
    for page in (read_status(project), make_status(project)):
        assert describe(page)[1:] == ("0 of 1, 1 failed", "ready")
        assert re.search(r"ended without a reason, so it was killed .*goes on from epoch \d+ of 40\)", page)

    project.snakemake(*TARGETS)
    for page in (read_status(project), make_status(project)):
        assert describe(page) == ("1 of 1", "1 of 1", "ready")
        assert "of 2 runs 2 are done, 0 running, 0 pending, 0 failed." in page
        assert "Left" not in page.split("##")[0]
    assert project.planned(*TARGETS) == set(), "nothing runs again"
    assert project.planned(STATUS) == {"Write how far all runs are"}
