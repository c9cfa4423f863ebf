"""QM9 from the table without geometry, made small by hand in its layout."""

import pandas as pd
import pytest
import yaml

from boomlib import contracts, registry
from boomlib.datasets.fetch import fetch
from boomlib.datasets.prepare import prepare
from boomlib.files import ContractError
from boomlib.workflow import Plan

DATASETS, SOURCES = registry.load_datasets()
ENTRY = DATASETS["qm9_smiles"]
FILES = ("molecules.parquet", "rejects.csv", "geometry.parquet", "doubles.csv")
# the columns of the table, in its order; the last two molecules are one, of which the archive has two texts
TABLE = {"smiles": ["C", "C#N", "OC", "CO"]} | {
    name: [place + row / 8 for row in range(4)]
    for place, name in enumerate(("mu", "alpha", "homo", "lumo", "gap", "r2", "zpve", "Cv"))
}


def prepared(tmp_path, table, entry=ENTRY):
    pd.DataFrame(table).to_parquet(tmp_path / "t.parquet")
    paths = [tmp_path / "out" / name for name in FILES]
    prepare(entry, [tmp_path / "t.parquet"], *paths)
    return paths


def test_every_row_is_a_molecule_with_booms_properties_and_no_geometry(tmp_path):
    molecules, rejects, geometry, _ = prepared(tmp_path, TABLE)
    found = contracts.read_molecules(molecules)
    properties = ["alpha", "cv", "gap", "homo", "lumo", "mu", "r2", "zpve"]
    assert found.column_names == ["molecule_id", "smiles", *properties]
    assert found["smiles"].to_pylist() == TABLE["smiles"]
    assert found["cv"].to_pylist() == TABLE["Cv"]
    assert {name: found[name].to_pylist() for name in properties if name != "cv"} == {
        name: TABLE[name] for name in properties if name != "cv"
    }
    assert rejects.read_text() == "row,smiles,reason\n"
    assert contracts.read_table(geometry, contracts.GEOMETRY).num_rows == 0


def test_another_table_is_named_with_its_columns(tmp_path):
    lacking = {name: column for name, column in TABLE.items() if name != "Cv"}
    with pytest.raises(ContractError, match=r"t\.parquet: no column 'Cv' \(it has: smiles, mu, .*zpve\); correct the"):
        prepared(tmp_path, lacking)


def test_its_tasks_are_those_of_qm9_but_for_the_heat_of_formation():
    qm9 = DATASETS["qm9"]
    assert set(qm9["properties"]) - set(ENTRY["properties"]) == {"hof"}
    for name, entry in ENTRY["properties"].items():
        assert {key: value for key, value in entry.items() if key != "column"} == qm9["properties"][name]
    assert ENTRY["split"] == qm9["split"]
    with pytest.raises(ContractError, match="dataset 'qm9_smiles' has no property 'hof'"):
        registry.check_task("qm9_smiles/hof", DATASETS, "config: tasks")


def test_without_the_table_the_error_says_where_it_may_lie_and_what_has_the_same_molecules(tmp_path, monkeypatch):
    monkeypatch.delenv("BOOM_MIRROR", raising=False)
    name, source = "qm9_properties.parquet", SOURCES["qm9_properties.parquet"]
    (tmp_path / "mirror").mkdir()
    for mirror in (None, str(tmp_path / "mirror")):
        with pytest.raises(ContractError, match=f"{name} has no address, and no mirror has brought it") as error:
            fetch(name, source, tmp_path / "out" / name, mirror)
        for part in (source["sha256"], "`mirror:`", "BOOM_MIRROR", "the dataset qm9", "dsgdb9nsd.xyz.tar.bz2"):
            assert part in str(error.value)
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("model", "remedy"),
    [
        ("egnn", r"\(\{features: \[elements, graph, embedded\], parameters: \{conformers: embedded\}\}\)"),
        ("egnn_small", r"\(name 'egnn_small_embedded'\)"),
        ("physics_ridge", r"\(name 'physics_ridge_embedded'\)"),
        ("committee", r"\(name 'committee_embedded'\)"),
    ],
)
def test_a_model_of_the_archives_geometry_is_refused_with_its_remedy(model, remedy):
    refused = (
        f"models: '{model}' reads the geometries of qm9's source, which that of qm9_smiles has not; take .*{remedy}"
    )
    with pytest.raises(ContractError, match=f"{refused}, or the dataset qm9"):
        Plan({"tasks": ["qm9_smiles/gap"], "models": ["ridge", model]})


@pytest.mark.parametrize("model", ["egnn", "graphormer3d", "gotennet", "egnn_small_on_physics", "own", "team"])
def test_the_remedy_is_all_that_it_takes(model):
    # a variant of a model that has an embedded one is itself without
    own = {"of": "physics_boost", "label": "Own", "parameters": {"ridge": {"penalties": [1, 10]}}}
    team = {"of": "committee", "label": "Team", "parameters": {"members": ["ridge", "physics_ridge"]}}
    config = {"tasks": ["qm9_smiles/gap"], "models": [model], "variants": {"own": own, "team": team}}
    with pytest.raises(ContractError, match="with embedded ones") as error:
        Plan(config)
    written = yaml.safe_load(str(error.value).partition("embedded ones (")[2].rpartition(")")[0])
    taken = {"of": model, "label": "Taken"} | written
    if model == "own":
        taken = own | written | {"parameters": {"ridge": own["parameters"]["ridge"] | written["parameters"]["ridge"]}}
    Plan(config | {"models": ["taken"], "variants": config["variants"] | {"taken": taken}})


def test_models_of_smiles_and_of_embedded_geometry_are_taken():
    models = [
        "ridge",
        "tgnn",
        "molformer_small",
        "egnn_small_embedded",
        "physics_ridge_embedded",
        "committee_embedded",
    ]
    plan = Plan({"tasks": ["qm9_smiles/gap"], "models": models})
    assert {run.dataset for run in plan.runs} == {"qm9_smiles"}
    assert plan.get_tables({"dataset": "qm9_smiles", "feature": "xtb_embedded"}) == [
        "results/features/qm9_smiles/embedded.parquet"
    ]


def test_molecules_that_are_the_same_as_those_of_no_dataset_are_named():
    own = {"reader": "table", "label": "Own", "file": "own.csv", "same_molecules_as": "qm8"}
    own |= {"properties": {"p": {"unit": "1", "kind": "intensive"}}}
    with pytest.raises(ContractError, match=r"datasets\.own\.same_molecules_as: unknown dataset 'qm8'; did you mean"):
        registry.with_own_datasets(DATASETS, SOURCES, {"datasets": {"own": own}})
