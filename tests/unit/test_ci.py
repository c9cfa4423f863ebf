"""What the workflow of GitHub runs is there; the version is one."""

import re

import yaml
from conftest import ROOT

from boomlib.version import VERSION

JOBS = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]


def test_what_it_makes_are_targets():
    made = re.findall(r"run: make ([\w-]+)", (ROOT / ".github/workflows/ci.yml").read_text())
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M)
    assert made
    assert [each for each in made if each not in targets] == []


def test_jobs_have_a_limit_of_time_and_actions_a_version():
    for job in JOBS.values():
        assert "timeout-minutes" in job
        assert all(re.search(r"@v\d+$", step["uses"]) for step in job["steps"] if "uses" in step)


def test_the_version_is_one():
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == VERSION
    assert f"\n## {VERSION} (" in (ROOT / "CHANGELOG.md").read_text()
