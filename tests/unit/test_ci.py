"""What the workflow of GitHub runs is there; the version is one."""

import re
import subprocess
import sys

import pytest
import yaml
from conftest import ROOT

from boomlib.files import ContractError
from boomlib.proposed import take_descriptors
from boomlib.version import VERSION

WORKFLOWS = {path.name: path.read_text() for path in (ROOT / ".github/workflows").glob("*.yml")}
JOBS = [job for text in WORKFLOWS.values() for job in yaml.safe_load(text)["jobs"].values()]


def test_what_it_makes_are_targets():
    made = re.findall(r"run: make ([\w-]+)", "".join(WORKFLOWS.values()))
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M)
    assert made
    assert [each for each in made if each not in targets] == []


def test_jobs_have_a_limit_of_time_and_actions_a_version():
    for job in JOBS:
        assert "timeout-minutes" in job
        assert all(re.search(r"@v\d+$", step["uses"]) for step in job["steps"] if "uses" in step)


def test_the_version_is_one():
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == VERSION
    assert f"\n## {VERSION} (" in (ROOT / "CHANGELOG.md").read_text()


def test_predictions_of_a_pull_request_are_scored_by_the_code_of_the_branch_that_it_is_for(tmp_path):
    """Of the request's checkout the step takes the files of external/ and external descriptors; the rest goes."""
    (job,) = yaml.safe_load(WORKFLOWS["external.yml"])["jobs"].values()
    ours, theirs = (
        step.get("with", {}) for step in job["steps"] if step.get("uses", "").startswith("actions/checkout")
    )
    assert "ref" not in ours and theirs["path"] == "proposed"
    (take,) = (step["run"] for step in job["steps"] if "proposed" in step.get("run", ""))
    files = {
        "proposed/external/theirs/a/b/kde/seed0.csv": "smiles,y_pred\n",
        "proposed/config/models/theirs.yaml": "label: Theirs\nfamily: external\n",
        "proposed/config/models/ridge.yaml": "label: Theirs\nfamily: tabular\n",
        "proposed/boomlib/version.py": "raise",
        "config/models/ridge.yaml": "label: Ridge\nfamily: tabular\n",
    }
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    take = take.replace(".venv/bin/python", sys.executable)
    subprocess.run(["bash", "-eo", "pipefail", "-c", take], cwd=tmp_path, check=True)
    assert {str(path.relative_to(tmp_path)): path.read_text() for path in tmp_path.rglob("*") if path.is_file()} == {
        "external/theirs/a/b/kde/seed0.csv": "smiles,y_pred\n",
        "config/models/theirs.yaml": "label: Theirs\nfamily: external\n",
        "config/models/ridge.yaml": "label: Ridge\nfamily: tabular\n",
    }
    (tmp_path / "proposed/external").mkdir(parents=True)
    (tmp_path / "proposed/config/models").mkdir(parents=True)
    (tmp_path / "proposed/external/x.csv").symlink_to("/etc/hostname")
    done = subprocess.run(["bash", "-eo", "pipefail", "-c", take], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode != 0


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("ridge.yaml", "family: external\n", "ridge is a model of the benchmark; rename"),
        ("evil -r x.yaml", "family: external\n", "a model's name becomes part of paths"),
        ("list.yaml", "- family: external\n", "list.yaml"),
    ],
)
def test_a_descriptor_that_would_replace_ours_or_has_an_odd_name_is_refused(tmp_path, name, text, said):
    for folder in ("ours", "theirs"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "ridge.yaml").write_text("family: tabular\n")
    (tmp_path / "theirs" / name).write_text(text)
    with pytest.raises(ContractError, match=said):
        take_descriptors(tmp_path / "theirs", tmp_path / "ours")
    assert [path.name for path in (tmp_path / "ours").iterdir()] == ["ridge.yaml"]


def test_a_text_that_says_external_makes_no_external_descriptor(tmp_path):
    (tmp_path / "ours").mkdir()
    (tmp_path / "ridge.yaml").write_text('label: "\n\nfamily: external\n\n"\nfamily: tabular\n')
    assert take_descriptors(tmp_path, tmp_path / "ours") == []
