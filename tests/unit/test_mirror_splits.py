"""Splits of the published data, molecule by molecule against scikit-learn. Needs the public files (BOOM_MIRROR)."""

import collections

import numpy as np
import pandas as pd
import pytest
from sklearn.neighbors import KernelDensity

from boomlib import contracts, registry
from boomlib.datasets.fetch import fetch, find_in_mirror
from boomlib.datasets.prepare import prepare
from boomlib.split import make_split
from boomlib.splits import SplitInput, kde

DATASETS, SOURCES = registry.load_datasets()
CSD = DATASETS["csd10k"]


@pytest.fixture(scope="module")
def csd10k(mirror, tmp_path_factory):
    """The molecules table of csd10k and the rejects, by the registered sources."""
    folder = tmp_path_factory.mktemp("csd10k")
    for name in CSD["sources"]:
        fetch(name, SOURCES[name], folder / name, str(mirror))
    sources = [folder / name for name in CSD["sources"]]
    prepare(
        CSD,
        sources,
        *(folder / name for name in ("molecules.parquet", "rejects.csv", "geometry.parquet", "doubles.csv")),
    )
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


@pytest.mark.parametrize("name", ["alpha", "Cv", "gap", "homo", "lumo", "mu", "r2", "zpve"])
def test_all_of_qm9_has_booms_fold_sizes(mirror, name):
    path = find_in_mirror("qm9_properties.parquet", str(mirror))
    if path is None:
        pytest.skip("the mirror has no qm9_properties.parquet")
    values = pd.read_parquet(path, columns=[name])[name].to_numpy()
    assert len(values) == 133885
    split = DATASETS["qm9"]["split"]
    rule = {key: split[key] for key in ("ood_size", "id_fraction", "seed", "shared_generator", "bandwidth")}
    fold, *_ = kde.assign(SplitInput(name, {name: values}, {}), **rule)
    assert collections.Counter(fold.tolist()) == {"train": 117768, "id": 6117, "ood": 10000}
