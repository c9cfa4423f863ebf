"""Splits of the published data, molecule by molecule against scikit-learn. Needs the public files (BOOM_MIRROR)."""

import collections
import random

import numpy as np
import pytest
from sklearn.neighbors import KernelDensity

from boomlib import contracts, registry
from boomlib.datasets.fetch import fetch, find_in_mirror
from boomlib.datasets.prepare import prepare
from boomlib.split import make_split

DATASETS, SOURCES = registry.load_datasets()
CSD, QM9 = DATASETS["csd10k"], DATASETS["qm9_smiles"]
FILES = ("molecules.parquet", "rejects.csv", "geometry.parquet", "doubles.csv")
on_one_worker = pytest.mark.xdist_group("qm9")  # which then reads QM9 once


@pytest.fixture(scope="module")
def csd10k(mirror, tmp_path_factory):
    """The molecules table of csd10k and the rejects, by the registered sources."""
    folder = tmp_path_factory.mktemp("csd10k")
    for name in CSD["sources"]:
        fetch(name, SOURCES[name], folder / name, str(mirror))
    sources = [folder / name for name in CSD["sources"]]
    prepare(CSD, sources, *(folder / name for name in FILES))
    return folder


def test_no_row_of_csd10k_is_rejected(csd10k):
    assert contracts.read_molecules(csd10k / "molecules.parquet").num_rows == 10206
    assert (csd10k / "rejects.csv").read_text() == "row,smiles,reason\n"


@pytest.mark.parametrize(("name", "train", "id_"), [("density", 8766, 440), ("hof", 8783, 423)])
def test_csd10k_has_booms_folds(csd10k, tmp_path, name, train, id_):
    counts = make_split(
        csd10k / "molecules.parquet",
        {},
        tmp_path / "split.parquet",
        tmp_path / "task.parquet",
        properties=list(CSD["properties"]),
        name=name,
        scheme="kde",
        settings=CSD["split"],
    )
    fold, density = contracts.read_split(tmp_path / "split.parquet")
    assert collections.Counter(fold.tolist()) == {each: counts[each] for each in contracts.FOLDS}
    assert (counts["train"] + counts["valid"], counts["id"], counts["ood"]) == (train, id_, 1000)
    assert counts["tied_at_threshold"] == 0

    column = contracts.read_molecules(csd10k / "molecules.parquet")[name].to_numpy().reshape(-1, 1)
    score = np.exp(KernelDensity(kernel="gaussian", bandwidth="scott").fit(column).score_samples(column))
    np.testing.assert_allclose(density, score, rtol=1e-9)
    threshold = score[np.argpartition(score, 1000)[1000]]
    assert np.array_equal(fold == "ood", score < threshold)


@pytest.fixture(scope="module")
def qm9(mirror, tmp_path_factory):
    """The molecules table of qm9_smiles and the rejects, by the registered source."""
    folder = tmp_path_factory.mktemp("qm9_smiles")
    (name,) = QM9["sources"]
    if find_in_mirror(name, str(mirror)) is None:
        pytest.skip(f"the mirror has no {name}")
    fetch(name, SOURCES[name], folder / name, str(mirror))
    prepare(QM9, [folder / name], *(folder / each for each in FILES))
    return folder


@on_one_worker
@pytest.mark.slow
def test_no_row_of_qm9_is_rejected(qm9):
    assert contracts.read_molecules(qm9 / "molecules.parquet").num_rows == 133885
    assert (qm9 / "rejects.csv").read_text() == "row,smiles,reason\n"


@on_one_worker
@pytest.mark.slow
@pytest.mark.parametrize("name", QM9["properties"])
def test_all_of_qm9_has_booms_folds(qm9, tmp_path, name):
    outputs = (tmp_path / "split.parquet", tmp_path / "task.parquet")
    rule = {"properties": list(QM9["properties"]), "scheme": "kde", "settings": QM9["split"]}
    counts = make_split(qm9 / "molecules.parquet", {}, *outputs, name=name, **rule)
    assert (counts["train"] + counts["valid"], counts["id"], counts["ood"]) == (117768, 6117, 10000)
    if name not in ("gap", "homo"):  # of few distinct values, so that scikit-learn's density of each is had in seconds
        return
    fold, density = contracts.read_split(tmp_path / "split.parquet")
    column = contracts.read_molecules(qm9 / "molecules.parquet")[name].to_numpy()
    estimate = KernelDensity(kernel="gaussian", bandwidth="scott").fit(column.reshape(-1, 1))
    distinct, place = np.unique(column, return_inverse=True)
    score = np.exp(estimate.score_samples(distinct.reshape(-1, 1)))[place]
    np.testing.assert_allclose(density, score, rtol=1e-9)
    ood = np.zeros(len(score), dtype=bool)
    ood[np.argsort(score, kind="stable")[:10000]] = True
    assert np.array_equal(fold == "ood", ood)
    draw = random.Random(42).random
    drawn = np.array([not rare and draw() < 0.05 for rare in ood])
    assert np.array_equal(fold == "id", drawn)
