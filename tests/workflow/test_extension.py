"""Models, features, schemes, readers, datasets and families of models are new files alone: CONTRIBUTING's examples."""

import hashlib

import pandas as pd
import pytest
import yaml
from conftest import make_molecules, read_block

pytestmark = pytest.mark.slow

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
    "family": "forest",
    "class": "tabular.line.Line",
    "features": ["length"],
    "source": "Our choice.",
    "parameters": {"degree": 1},
}
PROPERTY = {"unit": "kcal/mol", "kind": "extensive"}
OWN = {"reader": "table", "label": "Own", "file": "own.csv", "properties": {"size": PROPERTY}}


def read_example(marker):
    return read_block("CONTRIBUTING.md", marker)


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
    config = yaml.safe_load(read_example("configuration"))
    config["tasks"].append("own/size")
    config["models"] = ["train_mean", *config["models"][-2:], "line"]
    config["schemes"].remove("kde")  # which other tests run
    config["datasets"]["own"] = OWN
    written = {
        "boomlib/features/length.py": read_example("feature"),
        "boomlib/splits/longest.py": read_example("scheme"),
        "boomlib/models/tabular/line.py": MODEL,
        "boomlib/datasets/lines.py": read_example("reader"),
        "config/models/line.yaml": yaml.safe_dump(DESCRIPTOR),
        "config/models/mlp_wide.yaml": read_example("variant"),
        "config/models/forest.yaml": read_example("family descriptor"),
        "rules/train/forest.smk": read_example("family"),
        "config/lines.yaml": yaml.safe_dump(config),
        "own.csv": molecules[["smiles", "size"]].to_csv(index=False),
        "data/lines.txt": "".join(f"{row.smiles} {row.size}\n" for row in molecules.itertuples(index=False)),
    }
    for path, text in written.items():
        assert path not in before
        (project.folder / path).parent.mkdir(exist_ok=True)
        (project.folder / path).write_text(text.lstrip())
    return project, before


def test_new_files_alone_end_on_the_leaderboard(extended):
    project, before = extended
    command = ("results/leaderboard.md", "--configfile", "config/lines.yaml")
    project.snakemake(*command)
    after = hash_files(project)
    assert {path: after.get(path) for path in before} == before
    text = (project.folder / "results/leaderboard.md").read_text()
    for part in (
        "Every run finished.",
        "## Split by length (`longest`)",
        "OOD are the molecules with the longest",
        "Line",
        "MLP, wider",
        "Random forest, 50 trees",
    ):
        assert part in text
    table = pd.read_csv(project.folder / "results/leaderboard.csv")
    chosen = table[(table.metric == "rmse") & (table.fold == "ood") & (table.model == "line")]
    assert set(zip(chosen.dataset, chosen.scheme, strict=True)) == {("own", "longest"), ("lines", "longest")}
    assert (chosen["mean"] > 0).all()
    assert "longest " in (project.folder / "logs/make_split/own/size/longest.log").read_text()
    assert (project.folder / "results/plots/distribution/own/size/longest.png").exists()
    assert "Nothing to be done" in project.snakemake(*command).stdout
