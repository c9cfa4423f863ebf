import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import ROOT

from boomlib import registry
from boomlib.evaluation.score import score
from boomlib.evaluation.summary import write_summary
from boomlib.files import ContractError, write_json, write_text
from boomlib.report.build import write_markdown
from boomlib.report.publish import publish, update_readme
from boomlib.runs import list_runs

CONFIG = {"tasks": ["data/hof"], "schemes": ["kde"], "models": ["ridge", "net", "oracle"], "seeds": [0]}
MODELS = {
    "ridge": {"label": "Ridge | own", "family": "tabular", "source": "Ours."},
    "net": {"label": "Net", "family": "net", "source": "A ![figure](plots/none.png).", "answers_policy": True},
    "oracle": {"label": "Oracle", "family": "control", "source": "Ours."},
}
DATASETS = {
    "data": {
        "label": "Data",
        "licence": "CC0",
        "doi": "10.1/x",
        "properties": {"hof": {"unit": "eV", "kind": "extensive"}},
    }
}
FIGURES = {"plots/heatmap/kde.png", "plots/policy/data/hof/kde/net/seed0.png"}
TOP = {"leaderboard.md", "leaderboard.csv", "runs.csv", "config.yaml"}


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A finished leaderboard of three models; the test stands in the folder that has it as ``results``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "load_models", lambda: MODELS)
    folder, runs = tmp_path / "results", list_runs(CONFIG)
    y, fold = np.arange(12.0), np.repeat(["train", "valid", "id", "ood"], [4, 2, 3, 3])
    for run in runs:
        error = {"ridge": 2, "net": 3, "oracle": 0}[run.model]
        write_json(folder / f"metrics/{run.stem}.json", {"unit": "eV"} | score(y, fold, y + error, resamples=5))
        write_text(folder / f"predictions/{run.stem}.parquet", "")
        facts = {"molecules": {"train": 4}, "versions": {"python": "3.11.2"}, "device": "CPU"}
        write_json(folder / f"predictions/{run.stem}/run.json", facts)
        write_json(folder / f"policy/{run.stem}.json", {})
    for path in (*FIGURES, "plots/parity/other/task/kde.png"):
        write_text(folder / path, "")
    write_text(folder / "config.yaml", yaml.safe_dump(CONFIG))
    write(folder)
    return folder


def write(folder):
    """What the rules summarise and leaderboard write."""
    tables = folder / "leaderboard.csv", folder / "runs.csv"
    write_summary(folder, list_runs(CONFIG), *tables)
    described = {"config": CONFIG, "datasets": DATASETS, "models": MODELS}
    write_markdown(*tables, folder / "leaderboard.md", **described)


def files_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_published(results, tmp_path):
    publish(results, tmp_path / "docs/new")
    policy = "policy/data/hof/kde/net/seed0.json"
    found = files_of(tmp_path / "docs/new")
    assert set(found) == TOP | FIGURES | {policy}
    assert all((results / path).read_bytes() == content for path, content in found.items())
    assert [path.name for path in (tmp_path / "docs").iterdir()] == ["new"]


def test_a_publication_shows_the_figures_that_the_page_shows(results, tmp_path):
    publish(results, tmp_path / "docs")
    shown = set(re.findall(r"^!\[.*\]\((.*)\)$", (results / "leaderboard.md").read_text(), re.M))
    assert shown == FIGURES == {path for path in files_of(tmp_path / "docs") if path.endswith(".png")}


def test_a_publication_is_replaced(results, tmp_path):
    folder = tmp_path / "docs"
    folder.mkdir()  # an empty folder is no loss
    publish(results, folder)
    write_text(folder / "plots/stale.png", "")
    publish(results, Path("docs"))
    assert not (folder / "plots/stale.png").exists()
    assert set(tmp_path.iterdir()) == {folder, results}


def refused(results, folder, message):
    before = files_of(results.parent)
    with pytest.raises(ContractError, match=message):
        publish(results, folder)
    assert files_of(results.parent) == before


def test_other_folders_are_refused(results, tmp_path):
    write_text(tmp_path / "mine/notes.txt", "all I know")
    refused(results, Path("mine"), r"^mine: has files, but is no publication \(it lacks leaderboard\.md, ")
    publish(results, Path("docs"))
    write_text(tmp_path / "docs/.git/HEAD", "ref")
    refused(results, Path("docs"), r"^docs: also holds \.git, which would be lost; ")
    shutil.rmtree(tmp_path / "docs/.git")
    write_text(tmp_path / "docs/README.md", "mine")
    refused(results, Path("docs"), r"^docs: also holds README\.md")


def test_what_holds_the_results_or_the_checkout_is_refused(results, tmp_path):
    for folder in (Path(), Path("results"), tmp_path.parent, Path("/")):
        refused(results, folder, r"would be replaced, and .*results with it")
    refused(results, ROOT, "would be replaced, and .* with it")


def test_links_and_files_are_refused(results, tmp_path):
    publish(results, Path("docs"))
    (tmp_path / "link").symlink_to("docs")
    refused(results, Path("link"), "^link: is no folder")
    write_text(tmp_path / "file", "")
    refused(results, Path("file"), "^file: is no folder")


def test_a_failure_leaves_the_old_publication(results, tmp_path, monkeypatch):
    folder = tmp_path / "docs"
    publish(results, folder)
    before = files_of(folder)
    write_text(results / "leaderboard.md", "new")

    def fail(source, target):
        if str(source).endswith(".png"):
            raise OSError("no space left on device")
        return copy(source, target)

    copy = shutil.copyfile
    monkeypatch.setattr(shutil, "copyfile", fail)
    with pytest.raises(OSError, match="no space left"):
        publish(results, folder)
    assert files_of(folder) == before
    assert set(tmp_path.iterdir()) == {folder, results}


def test_a_rename_that_fails_leaves_the_old_publication(results, tmp_path, monkeypatch):
    folder = tmp_path / "docs"
    publish(results, folder)
    before = files_of(folder)
    rename = Path.rename

    def fail(self, target):
        if self.parent.name == ".docs.scratch":
            raise OSError("stale file handle")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OSError, match="stale"):
        publish(results, folder)
    assert files_of(folder) == before


def test_a_publication_that_a_kill_left_without_name_gets_it_again(results, tmp_path):
    folder = tmp_path / "docs"
    publish(results, folder)
    before = files_of(folder)
    folder.rename(tmp_path / ".docs.old")
    (results / "leaderboard.md").unlink()
    with pytest.raises(ContractError, match=r"leaderboard\.md: no such file; run snakemake"):
        publish(results, folder)
    assert files_of(folder) == before


def test_runs_without_a_result_are_not_published(results, tmp_path):
    stem = "data/hof/kde/net/seed0"
    write_json(results / f"predictions/{stem}/failure.json", {"error": "E", "message": "no", "log": "a.log"})
    write(results)
    text = (results / "leaderboard.md").read_text()
    write_text(results / "leaderboard.md", text + "\nEvery run finished.\n")  # prose counts for nothing
    refused(results, Path("docs"), rf"runs\.csv: 1 of 3 runs have no result, the first of them {stem} \(E: no\)")


def test_the_table_of_the_readme_is_made_from_the_csv(results, tmp_path):
    publish(results, Path("docs"))
    write_text(tmp_path / "docs/leaderboard.md", "prose")
    readme = "# A\n\n<!-- leaderboard: docs/leaderboard.md -->\n\n| old |\n\n<!-- end -->\n\nB\n"
    write_text(tmp_path / "README.md", readme)
    update_readme(Path("README.md"), Path("docs"))
    lines = [" ".join(line.split()) for line in (tmp_path / "README.md").read_text().splitlines()]
    assert [line.replace("-", "") for line in lines[4:9]] == [
        "| Model | data/hof (eV) |",
        "|:|:|",
        r"| Ridge \| own | **2.00** |",
        "| Net | 3.00 |",
        "| *Oracle* | 0 |",
    ]
    assert lines[:4] + lines[9:] == readme.replace("| old |\n", "").splitlines()
    write_text(tmp_path / "other.md", "# A\n")
    with pytest.raises(ContractError, match=r"other\.md: no marker"):
        update_readme(Path("other.md"), Path("docs"))


def call(folder, *arguments):
    command = [sys.executable, "-m", "boomlib.report.publish", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_command_says_how_it_is_used(tmp_path):
    done = call(tmp_path)
    assert done.returncode == 2
    assert "usage: python -m boomlib.report.publish FOLDER" in done.stderr
    done = call(tmp_path, "docs")
    assert (done.returncode, done.stderr) == (
        1,
        "error: results/leaderboard.md: no such file; run snakemake to a finished leaderboard first\n",
    )
    write_text(tmp_path / "kept.txt", "")
    assert call(tmp_path, ".").stderr.startswith("error: .: would be replaced, and ")
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]


def test_what_an_earlier_command_left_is_not_published_after_a_failure(results, tmp_path):
    (results / "leaderboard.partial.md").touch()
    with pytest.raises(ContractError, match=r"the last command failed, so that leaderboard\.md is of an earlier one"):
        publish(results, tmp_path / "new")
    assert not (tmp_path / "new").exists()
