"""Several checkouts in one environment."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import ROOT, make_project

PREDICTIONS = "results/predictions/tiny/size/kde/train_mean/seed0.parquet"


def test_each_checkout_runs_its_own_code(project, tmp_path, monkeypatch):
    """What lies on PYTHONPATH comes before what is installed, so that this is the harder case of the two."""
    other = tmp_path / "other/boomlib"
    shutil.copytree(ROOT / "boomlib", other, ignore=shutil.ignore_patterns("__pycache__"))
    (other / "models/control/train_mean.py").write_text("raise ImportError('this is the other checkout')")
    monkeypatch.setenv("PYTHONPATH", str(other.parent))
    project.edit(
        "boomlib/models/control/train_mean.py", "return Prediction(np.full(", "return Prediction(7 + np.full("
    )
    project.snakemake(PREDICTIONS)
    task = pq.read_table(project.folder / "results/tasks/tiny/size/kde.parquet")
    train = task["y"].to_numpy()[task["fold"].to_numpy() == "train"]
    predicted = pq.read_table(project.folder / PREDICTIONS)["y_pred"].to_numpy()
    np.testing.assert_allclose(predicted, 7 + train.mean())


def test_boomlib_is_installed_and_finds_its_configuration(tmp_path):
    code = "import boomlib, boomlib.registry as r; print(boomlib.__version__, len(r.load_models()) > 20, r.__file__)"
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=clean, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    version, found, file = done.stdout.split()
    assert (version, found) == ((ROOT / "boomlib/version.py").read_text().split('"')[-2], "True")
    assert file == str(ROOT / "boomlib/registry.py")


def test_a_checkout_with_its_environment_in_a_path_that_a_shell_would_cut(tmp_path):
    project = make_project(tmp_path / "it's my $HOME; & #1 [50 %?]")
    (project.folder / ".venv").symlink_to(sys.prefix)
    command = [project.folder / ".venv/bin/python", "-m", "snakemake", "--cores", "2"]
    target = "results/features/tiny/elements.parquet"
    done = subprocess.run([*command, target], cwd=project.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert pq.read_metadata(project.folder / target).num_rows == 160


@pytest.mark.parametrize("name", ["a$HOME", 'a"b', "a`b", "a\\b", "a:b", "a{b}"])
def test_make_names_a_path_in_which_no_environment_works(tmp_path, name):
    folder = tmp_path / name
    (folder / "boomlib").mkdir(parents=True)
    for file in ("Makefile", "requirements.lock", "pyproject.toml", "boomlib/version.py"):
        shutil.copy(ROOT / file, folder / file)
    done = subprocess.run(["make", "setup", "PYTHON=true"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode
    assert f"in {folder}: a path without" in done.stdout
