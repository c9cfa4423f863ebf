"""Two checkouts share downloads, molecules and features by Snakemake's cache between workflows."""

import hashlib
import re

import pytest
import yaml
from conftest import TINY, make_molecules, make_project

pytestmark = pytest.mark.slow

FEATURES = ["features/tiny/elements.parquet", "features/tiny/maccs.parquet"]
MOLECULES = [f"data/tiny/{name}" for name in ("doubles.csv", "geometry.parquet", "molecules.parquet", "rejects.csv")]
MADE = [f"results/{name}" for name in FEATURES]


@pytest.fixture
def checkouts(tmp_path, monkeypatch):
    """Two copies of the project, whose dataset is downloaded from a mirror, and an empty cache."""
    cache, mirror = tmp_path / "cache", tmp_path / "mirror"
    cache.mkdir()
    mirror.mkdir()
    monkeypatch.setenv("SNAKEMAKE_OUTPUT_CACHE", str(cache))
    monkeypatch.setenv("BOOM_MIRROR", str(mirror))
    make_molecules(600).to_csv(mirror / "tiny_source.csv", index=False)
    digest = hashlib.sha256((mirror / "tiny_source.csv").read_bytes()).hexdigest()
    projects = []
    for name in ("first", "second"):
        project = make_project(tmp_path / name)
        registry = project.folder / "config/datasets.yaml"
        entries = yaml.safe_load(registry.read_text())
        entries["sources"]["tiny_source.csv"] = {"url": "http://127.0.0.1:9/tiny_source.csv", "sha256": digest}
        entries["datasets"]["tiny"] = TINY | {"file": "results/downloads/tiny_source.csv"}
        registry.write_text(yaml.safe_dump(entries, sort_keys=False))
        projects.append(project)
    return projects


def made(done):
    """What was made rather than taken from the cache, relative to results."""
    return sorted(re.findall(r"Moving output file results/(\S+) to cache", done.stdout))


@pytest.mark.parametrize("feature_jobs", [1, 2])
def test_a_second_checkout_makes_none_of_it_again_and_has_the_same_files(checkouts, feature_jobs):
    first, second = checkouts
    for project in checkouts:
        project.write_config(feature_jobs=feature_jobs)
    assert len(made(first.snakemake(*MADE, "--cache"))) == 5 + 2 * feature_jobs
    assert made(second.snakemake(*MADE, "--cache")) == []
    contents = [[(project.folder / path).read_bytes() for path in MADE] for project in checkouts]
    assert contents[0] == contents[1]
    for path in MADE:
        (second.folder / path).unlink()
    second.snakemake(*MADE, "--forceall")
    assert contents[0] == [(second.folder / path).read_bytes() for path in MADE]


@pytest.mark.parametrize(
    ("file", "old", "new", "remade"),
    [
        ("boomlib/features/elements.py", "def compute(", "REMARK = 1\n\n\ndef compute(", [FEATURES[0]]),
        ("envs/boomlib.yaml", "rdkit=2026.3.5", "rdkit=2026.9.1", [*MOLECULES, *FEATURES]),
    ],
)
def test_other_code_and_other_software_are_made_anew_beside_it(checkouts, file, old, new, remade):
    first, second = checkouts
    first.snakemake(*MADE, "--cache")
    before = {path.resolve(): path.resolve().read_bytes() for path in (first.folder / each for each in MADE)}
    second.edit(file, old, new)
    assert made(second.snakemake(*MADE, "--cache")) == remade
    assert before == {path.resolve(): path.resolve().read_bytes() for path in (first.folder / each for each in MADE)}
