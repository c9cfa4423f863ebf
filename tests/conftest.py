"""Small real molecules, copies of the project to run them in, and the figures that are saved."""

import itertools
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pytest
import yaml
from matplotlib.figure import Figure
from rdkit import Chem
from threadpoolctl import threadpool_limits

from boomlib.contracts import GEOMETRY, write_table
from boomlib.declared import list_tables
from boomlib.evaluation.comparison import COMPARED, RESAMPLED
from boomlib.featurize import compute_feature
from boomlib.processes import locate_lock
from boomlib.runs import Run

ROOT = Path(__file__).parent.parent
PARTS = ("Snakefile", "boomlib", "config", "envs", "profiles", "rules", "workflow_scripts")


def write_tables(feature: str, molecules: Path, folder: Path) -> dict[str, Path]:
    """Compute what a feature reads besides molecules; returns where each table is."""
    tables = {name: folder / f"{name}.parquet" for name in list_tables(feature)}
    for name, path in tables.items():
        if name == "geometry":
            write_table(GEOMETRY.empty(), path, GEOMETRY)
        else:
            write_feature(name, molecules, path)
    return tables


def write_feature(feature: str, molecules: Path, out: Path, *arguments, **options) -> None:
    """Compute a feature, and beforehand, into the same folder, what it reads."""
    tables = write_tables(feature, molecules, out.parent)
    compute_feature(feature, molecules, out, *arguments, tables=tables, **options)


def make_molecules(n: int) -> pd.DataFrame:
    """``n`` molecules with an additive property ``size`` and a size-free one ``polarity``, both a little noisy."""
    heads = ["C", "O", "N", "F", "N#CC", "c1ccccc1", "C1CCCCC1", "c1ccncc1", "c1ccoc1", "O=C1CCCN1"]
    tails = ["", "O", "N", "C#N", "C(=O)O", "C(C)(C)C", "c1ccccc1", "OC", "C(F)(F)F"]
    written = (h + "C" * length + t for length, h, t in itertools.product(range(1, 9), heads, tails))
    smiles = list({Chem.CanonSmiles(each): each for each in written}.values())
    chosen = sorted(np.random.default_rng(1).choice(len(smiles), size=n, replace=False))
    smiles = [smiles[i] for i in chosen]
    carbon = np.array([s.lower().count("c") for s in smiles], dtype=float)
    hetero = np.array([sum(s.count(x) for x in "ONFno") for s in smiles], dtype=float)
    noise = np.random.default_rng(0).normal(size=(2, n))
    size = -5 * carbon - 20 * hetero + noise[0]
    return pd.DataFrame({"smiles": smiles, "size": size, "polarity": hetero / (carbon + hetero) + 0.01 * noise[1]})


TINY = {
    "reader": "table",
    "label": "Tiny",
    "file": "tiny.csv",
    "split": {"ood_size": 20, "id_fraction": 0.1},
    "properties": {
        "size": {"unit": "kcal/mol", "kind": "extensive"},
        "polarity": {"unit": "1", "kind": "intensive"},
    },
}


class Project:
    """A copy of the project's files in a folder of its own, with a tiny dataset registered."""

    def __init__(self, folder: Path):
        self.folder = folder

    def write_config(self, **changes) -> None:
        """Write config/config.yaml: one task, fast models, unless ``changes`` say otherwise."""
        config = {
            "tasks": ["tiny/size"],
            "schemes": ["kde"],
            "seeds": [0],
            "models": ["oracle", "train_mean", "ridge", "mlp"],
        }
        (self.folder / "config/config.yaml").write_text(yaml.safe_dump(config | changes))

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace ``old``, which must occur, in a file."""
        text = (self.folder / path).read_text()
        assert old in text, f"{path} does not hold {old!r}"
        (self.folder / path).write_text(text.replace(old, new, 1))

    def snakemake(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess:
        """Run Snakemake in the copy; output is one text."""
        command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
        done = subprocess.run(
            command, cwd=self.folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
        assert not check or done.returncode == 0, done.stdout
        return done

    def train_until(self, log: str, epoch: int, *arguments: str) -> tuple[subprocess.Popen, psutil.Process]:
        """Start Snakemake in the copy; returns it and its training job once its ``log`` tells of an epoch."""
        process = subprocess.Popen(
            [sys.executable, "-m", "snakemake", *arguments],
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        path = self.folder / log
        while not (path.exists() and f"epoch {epoch} of " in path.read_text()):
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.05)
        # not a walk through all processes, which on a busy machine takes as long as short epochs
        return process, psutil.Process(int(locate_lock(path).read_text().split()[1]))

    def planned(self, *arguments: str) -> set[str]:
        """The messages of the jobs that a dry run would start; without arguments one of the leaderboard."""
        lines = self.snakemake("--dry-run", *(arguments or ["results/leaderboard.md"])).stdout.splitlines()
        return {match[1] for line in lines if (match := re.match(r" *Job \d+: (.*?) *$", line))}

    def copy(self, folder: Path) -> "Project":
        """A copy of the copy, with results, times and Snakemake's own records."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Project(folder)


def make_project(folder: Path) -> Project:
    """Copy the project's own files into ``folder`` and register the tiny dataset."""
    folder.mkdir(parents=True)
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, folder / part)
    make_molecules(160).to_csv(folder / "tiny.csv", index=False)
    registry = yaml.safe_load((folder / "config/datasets.yaml").read_text())
    registry["datasets"]["tiny"] = TINY
    (folder / "config/datasets.yaml").write_text(yaml.safe_dump(registry, sort_keys=False))
    project = Project(folder)
    project.write_config()
    return project


def write_resamples(results: Path, run: Run, **rmse: float | Sequence[float]) -> None:
    """Write a run's RMSE on resamples by fold (``id``, ``ood``): a number, or one a resample; of others unknown."""
    columns = {fold: np.broadcast_to(rmse.get(fold, np.nan), 20).astype(float) for fold in COMPARED}
    write_table(pa.table(columns), results / f"resamples/{run.stem}.parquet", RESAMPLED)


def read_block(page: str, marker: str) -> str:
    """The fenced block of a page that follows the HTML comment ``test: marker``."""
    return re.search(rf"<!-- test: {re.escape(marker)} -->\n+```\w*\n(.*?)```", (ROOT / page).read_text(), re.S)[1]


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """What the jobs of the workflow have; many threads on small matrices only wait for each other."""
    with threadpool_limits(1):
        yield


@pytest.fixture
def project(tmp_path) -> Project:
    """A fresh copy without results."""
    return make_project(tmp_path / "project")


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Project:
    """A copy in which the tiny benchmark has run once. Tests copy it before they change anything."""
    project = make_project(tmp_path_factory.mktemp("finished") / "project")
    project.snakemake("results/leaderboard.md")
    return project


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The folder of public source files that BOOM_MIRROR names; skips where there is none."""
    folder = os.environ.get("BOOM_MIRROR")
    if not folder:
        pytest.skip("BOOM_MIRROR is not set: this test needs the public source files")
    return Path(folder).resolve()


@pytest.fixture
def drawn(monkeypatch) -> list[Figure]:
    """The figures that are saved, in order."""
    saved = []
    savefig = Figure.savefig

    def record(self, *args, **kwargs):
        saved.append(self)
        return savefig(self, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", record)
    return saved
