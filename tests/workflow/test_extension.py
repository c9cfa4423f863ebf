"""A model, a feature, a scheme, a reader, a dataset and a family of models are new files alone."""

import hashlib

import pandas as pd
import pytest
import yaml
from conftest import make_molecules

FEATURE = '''
"""How many characters a SMILES has."""

import pyarrow as pa


def compute(smiles):
    return {"length": pa.array([float(len(text)) for text in smiles], pa.float64())}
'''
SCHEME = '''
"""Split by length: the molecules with the longest SMILES are OOD."""

import numpy as np

TITLE = "Split by length (`longest`)"
TEXT = "OOD are the molecules with the longest SMILES."
QUANTITY = "Characters"
FEATURES = ("length",)


def assign(table, *, ood_size, id_fraction, seed, **settings):
    length = table.features["length"]["length"].to_numpy()
    fold = np.full(len(length), "train", dtype="<U5")
    fold[np.argsort(-length, kind="stable")[:ood_size]] = "ood"
    rest = np.flatnonzero(fold == "train")
    fold[np.random.default_rng(seed).choice(rest, round(id_fraction * len(rest)), replace=False)] = "id"
    return fold, length, {"longest": int(length.max())}
'''
MODEL = '''
"""A line through the labels, by the length of the SMILES."""

import joblib
import numpy as np

from boomlib.harness.interface import Model, Prediction


class Line(Model):
    def __init__(self, *, degree: int, **common):
        super().__init__(**common)
        self.degree = degree

    def fit(self, train, valid, folder):
        self.line = np.polyfit(train.features["length"]["length"].to_numpy(), train.y, self.degree)

    def predict(self, molecules):
        return Prediction(np.polyval(self.line, molecules.features["length"]["length"].to_numpy()))

    def save(self, folder):
        joblib.dump(self.line, folder / "model.joblib")

    def load(self, folder):
        self.line = joblib.load(folder / "model.joblib")
'''
DESCRIPTOR = {
    "label": "Line",
    "family": "line",
    "class": "tabular.line.Line",
    "features": ["length"],
    "source": "Our choice.",
    "parameters": {"degree": 1},
}
FAMILY = '''
"""Lines."""


use rule train_tabular as train_line with:
    wildcard_constraints:
        model=plan.constrain_family("line"),
    resources:
        mem_mb=500,
        runtime=5,
'''
READER = '''
"""Lines of text: a SMILES, a space, a value."""

from pathlib import Path

import numpy as np

from boomlib.datasets.rows import Rows


def read(sources, dataset):
    rows = [line.split() for line in Path(sources[0]).read_text().splitlines()]
    (name,) = dataset["properties"]
    return Rows(np.arange(1, len(rows) + 1), [row[0] for row in rows], {name: [row[1] for row in rows]})
'''
PROPERTY = {"unit": "kcal/mol", "kind": "extensive"}
CONFIG = {
    "tasks": ["own/size", "lines/size"],
    "schemes": ["longest", "kde"],
    "models": ["oracle", "train_mean", "ridge", "line"],
    "datasets": {
        "own": {"reader": "table", "label": "Own", "file": "own.csv", "properties": {"size": PROPERTY}},
        "lines": {"reader": "lines", "label": "Lines", "file": "lines.txt", "properties": {"size": PROPERTY}},
    },
}


def hash_files(project):
    """The hash of every file of the project that is no result, log or cache, by its path."""
    made = {"results", "logs", ".snakemake", "__pycache__"}
    files = (path for path in project.folder.rglob("*") if path.is_file())
    paths = {path.relative_to(project.folder): path for path in files}
    return {
        str(name): hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in paths.items()
        if not made & set(name.parts)
    }


@pytest.fixture
def extended(project):
    """The project with a new file for each, and what it held before."""
    before = hash_files(project)
    molecules = make_molecules(160)
    written = {
        "boomlib/features/length.py": FEATURE,
        "boomlib/splits/longest.py": SCHEME,
        "boomlib/models/tabular/line.py": MODEL,
        "boomlib/datasets/lines.py": READER,
        "config/models/line.yaml": yaml.safe_dump(DESCRIPTOR),
        "rules/train/line.smk": FAMILY,
        "own.yaml": yaml.safe_dump(CONFIG),
        "own.csv": molecules[["smiles", "size"]].to_csv(index=False),
        "lines.txt": "".join(f"{row.smiles} {row.size}\n" for row in molecules.itertuples(index=False)),
    }
    for path, text in written.items():
        assert path not in before
        (project.folder / path).write_text(text.lstrip())
    return project, before


def test_new_files_alone_end_on_the_leaderboard(extended):
    project, before = extended
    command = ("results/leaderboard.md", "--configfile", "own.yaml")
    project.snakemake(*command)
    after = hash_files(project)
    assert {path: after.get(path) for path in before} == before
    text = (project.folder / "results/leaderboard.md").read_text()
    for part in (
        "Every run finished.",
        "## Split by length (`longest`)",
        "OOD are the molecules with the longest",
        "Line",
    ):
        assert part in text
    table = pd.read_csv(project.folder / "results/leaderboard.csv")
    chosen = table[(table.metric == "rmse") & (table.fold == "ood") & (table.model == "line")]
    assert set(zip(chosen.dataset, chosen.scheme, strict=True)) == {
        (dataset, scheme) for dataset in ("own", "lines") for scheme in ("longest", "kde")
    }
    assert (chosen["mean"] > 0).all()
    assert "longest " in (project.folder / "logs/make_split/own/size/longest.log").read_text()
    assert (project.folder / "results/plots/distribution/own/size/longest.png").exists()
    assert "Nothing to be done" in project.snakemake(*command).stdout
