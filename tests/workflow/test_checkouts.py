"""Several checkouts in one environment."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
from conftest import ROOT

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
