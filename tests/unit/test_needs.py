import pytest

from boomlib import registry, schemas
from boomlib.declared import NEEDS, brings_geometry, find_needs, list_read
from boomlib.report.needs import EXTERNAL, describe_needs, list_needs

SMILES, EMBEDDED, GIVEN = NEEDS


@pytest.mark.parametrize(
    ("features", "csd10k", "qm9"),
    [
        ([], SMILES, SMILES),
        (["elements", "descriptors", "morgan_counts", "graph"], SMILES, SMILES),
        (["elements", "conformers"], EMBEDDED, GIVEN),
        (["elements", "embedded"], EMBEDDED, EMBEDDED),
        (["elements", "xtb"], EMBEDDED, GIVEN),
        (["elements", "xtb_embedded"], EMBEDDED, EMBEDDED),
        (["xtb_embedded", "conformers"], EMBEDDED, GIVEN),
    ],
)
def test_the_most_that_a_feature_takes(features, csd10k, qm9):
    assert [find_needs(features, reader) for reader in ("csd10k", "qm9")] == [csd10k, qm9]


def test_what_is_read_through_other_features():
    assert list_read(["xtb", "elements"]) == {"xtb", "conformers", "geometry", "elements"}
    assert list_read(["xtb_embedded"]) == {"xtb_embedded", "embedded"}


def test_of_the_readers_that_of_qm9_alone_brings_positions():
    readers = schemas.list_modules("datasets", "read")
    assert [name for name in readers if brings_geometry(name)] == ["qm9"]


def test_registered_models():
    models, (datasets, _) = registry.load_models(), registry.load_datasets()
    needs = list_needs(models, models, datasets)
    assert "oracle" not in needs
    assert set(needs["ridge"].values()) == set(needs["chemprop"].values()) == {SMILES}
    assert needs["tgnn"]["qm9"] == SMILES
    assert (needs["egnn"]["csd10k"], needs["egnn"]["qm9"]) == (EMBEDDED, GIVEN)
    assert needs["physics_ridge_embedded"]["qm9"] == EMBEDDED
    assert needs["committee"]["qm9"] == GIVEN, "it reads no feature, and its members do"


def test_of_external_models_and_committees_with_one_nobody_here_knows():
    theirs = {"family": "external", "features": [], "parameters": {}}
    pair = {"family": "committee", "features": [], "parameters": {"members": ["theirs", "ridge"]}}
    models = {"theirs": theirs, "pair": pair, "ridge": {"family": "tabular", "features": [], "parameters": {}}}
    needs = list_needs(models, models, {"csd10k": {"reader": "csd10k"}})
    assert {name: each["csd10k"] for name, each in needs.items()} == {
        "theirs": EXTERNAL,
        "pair": EXTERNAL,
        "ridge": SMILES,
    }


def test_datasets_are_named_where_needs_differ():
    assert describe_needs({"qm9": SMILES, "csd10k": SMILES}) == "SMILES"
    described = describe_needs({"qm9": GIVEN, "csd10k": EMBEDDED, "mine": EMBEDDED})
    assert described == "the source's geometry (qm9); embedded geometry (csd10k, mine)"
    assert describe_needs({}) == "—"
