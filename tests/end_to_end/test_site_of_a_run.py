"""The interactive leaderboard as the workflow makes it."""

import json

import pytest


def read_board(folder):
    text = (folder / "data/board.js").read_text(encoding="utf-8").strip()
    return json.loads("[" + text.removeprefix("BOOM.give(").removesuffix(");") + "]")[1]


@pytest.mark.slow
def test_a_run_makes_it_once_and_again_for_another_page(finished, tmp_path):
    project = finished.copy(tmp_path / "project")
    assert project.planned("all") == {"Make the interactive leaderboard"}
    project.snakemake()
    site = project.folder / "results/site"
    assert read_board(site)["lost"] == 0
    assert read_board(site)["answered"] == ["tiny/size/kde"]
    assert project.planned("all") == set()
    project.edit("boomlib/report/site/templates/index.html.j2", "Models and tasks", "All models")
    assert project.planned("all") == {"Make the interactive leaderboard"}


@pytest.mark.slow
def test_a_run_that_fails_leaves_a_partial_one(project):
    project.write_config(models=["oracle", "train_mean", "ridge"])
    good = "class Ridge("
    project.edit("boomlib/models/tabular/ridge.py", good, 'raise RuntimeError("no luck")\n\n\nclass Ridge(')
    done = project.snakemake("--keep-going", check=False)
    assert done.returncode != 0
    partial = project.folder / "results/site.partial"
    board = read_board(partial)
    assert board["lost"] == 1
    assert "no luck" in json.dumps(board["schemes"]["kde"]["lost"]["ridge"])
    assert (partial / "index.html").is_file()
    assert not (project.folder / "results/site/index.html").exists()
    project.edit("boomlib/models/tabular/ridge.py", 'raise RuntimeError("no luck")\n\n\n', "")
    project.snakemake()
    assert not partial.exists()
    assert read_board(project.folder / "results/site")["lost"] == 0
