"""Two halves of a run make one publication, from which a clean clone goes on without training anything again."""

import shutil
import subprocess
import sys

import pytest
import yaml
from conftest import make_project

pytestmark = pytest.mark.slow

FOLDER = "docs/benchmarks/halves"
CONFIG = ("--configfile", "config/halves.yaml")
MODELS = ["oracle", "train_mean", "ridge", "mlp"]


def start(folder, publication=None):
    """A clean clone, with what was published elsewhere."""
    project = make_project(folder)
    config = {"tasks": ["tiny/size"], "schemes": ["kde"], "seeds": [0], "models": MODELS}
    (project.folder / "config/halves.yaml").write_text(yaml.safe_dump(config))
    if publication:
        shutil.copytree(publication, project.folder / FOLDER)
    return project


def score(model):
    return f"results/metrics/tiny/size/kde/{model}/seed0.json"


def read_log(project, model):
    return (project.folder / f"logs/train/tiny/size/kde/{model}/seed0.log").read_text()


def publish(project, way, check=True):
    command = [sys.executable, "-m", "boomlib.report.publish", way, FOLDER]
    return subprocess.run(command, cwd=project.folder, capture_output=True, text=True, check=check)


def test_halves_are_merged_and_laid_back(tmp_path):
    first = start(tmp_path / "first")
    first.snakemake(*map(score, MODELS[:3]), *CONFIG)
    assert publish(first, "--merge").stdout.startswith("3 runs added")
    assert publish(first, "--merge").stdout.startswith("0 runs added"), "they are there"
    page = (first.folder / FOLDER / "leaderboard.md").read_text()
    assert "mlp" not in page.lower(), "of which there is no run"

    status = (first.folder / FOLDER / "status.md").read_text()
    assert "Of 4 runs 3 are published." in status
    states = dict(line.split("|")[1:4:2] for line in status.splitlines() if line.startswith("| "))
    assert [state.strip() for state in states.values()] == ["tiny/size", *["1 of 1"] * 3, "pending"]

    assert (first.folder / FOLDER / "site/index.html").is_file()
    assert list((first.folder / FOLDER).with_name("assets").glob("site/plotly*.js")), "shared with other pages"

    second = start(tmp_path / "second", first.folder / FOLDER)
    assert publish(second, "--merge").stdout.startswith("0 runs added\n")
    assert (second.folder / FOLDER / "site/index.html").is_file()
    second.snakemake(score("mlp"), *CONFIG)
    assert publish(second, "--merge").stdout.startswith("1 runs added")

    third = start(tmp_path / "third", second.folder / FOLDER)
    publish(third, "--restore")
    third.snakemake("results/leaderboard.md", *CONFIG)
    for model in MODELS:
        assert "and not trained" in read_log(third, model)
    assert not (third.folder / "results/features/tiny/descriptors.parquet").exists(), "nothing reads it"
    for table in ("leaderboard.csv", "runs.csv"):
        made, published = (third.folder / each / table for each in ("results", FOLDER))
        assert made.read_bytes() == published.read_bytes()
    for project, model in ((first, "ridge"), (second, "mlp")):
        run = f"results/predictions/tiny/size/kde/{model}/seed0"
        for file in (f"{run}.parquet", f"{run}/run.json"):
            assert (third.folder / file).read_bytes() == (project.folder / file).read_bytes()
    assert third.planned("results/leaderboard.md", *CONFIG) == set(), "nothing runs again"

    third.edit("config/models/mlp.yaml", "epochs: 200", "epochs: 150")
    third.snakemake(score("mlp"), *CONFIG)
    assert "and not trained" not in read_log(third, "mlp"), "its settings are others"
    assert "and not trained" in read_log(third, "ridge")
    third.edit("config/models/mlp.yaml", "epochs: 150", "epochs: 200")
    third.snakemake(score("mlp"), *CONFIG)
    assert "and not trained" in read_log(third, "mlp"), "what was made here is of other settings"


def test_of_a_run_that_was_made_here_nothing_is_taken_back(tmp_path):
    project = start(tmp_path / "project")
    project.snakemake(score("ridge"), *CONFIG)
    publish(project, "--merge")
    publish(project, "--restore")
    assert project.planned(score("ridge"), *CONFIG) == set(), "it has what it has published"
    record = project.folder / "results/predictions/tiny/size/kde/ridge/seed0/run.json"
    record.parent.with_suffix(".parquet").unlink()
    project.snakemake(score("ridge"), *CONFIG)
    mine = record.read_bytes()
    publish(project, "--restore")
    assert project.planned(score("ridge"), *CONFIG) == set()
    assert record.read_bytes() == mine
    shutil.rmtree(project.folder / FOLDER / "runs")
    refused = publish(project, "--restore", check=False)
    assert refused.returncode == 1
    assert "holds no runs" in refused.stderr
