"""What the workflow of GitHub runs is there: targets of make, environments, the lock."""

import re

import yaml
from conftest import ROOT

JOBS = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]


def test_every_environment_is_solved():
    listed = JOBS["conda"]["strategy"]["matrix"]["environment"]
    assert sorted(listed) == sorted(path.stem for path in ROOT.glob("envs/*.yaml"))


def test_what_it_makes_are_targets():
    made = re.findall(r"run: make ([\w-]+)", (ROOT / ".github/workflows/ci.yml").read_text())
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M)
    assert made
    assert [each for each in made if each not in targets] == []


def test_jobs_have_a_limit_of_time_and_actions_a_version():
    for job in JOBS.values():
        assert "timeout-minutes" in job
        assert all(re.search(r"@v\d+$", step["uses"]) for step in job["steps"] if "uses" in step)
