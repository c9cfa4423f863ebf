"""Predictions that others have made: their files, their descriptors, and what is refused."""

import gzip
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny import PROPERTY, write_benchmark

from boomlib import contracts, external, registry
from boomlib.external import fill_in, find_predictions, list_shipped
from boomlib.files import ContractError, MoleculeError, write_json
from boomlib.harness.external import read_external
from boomlib.harness.interface import Molecules
from boomlib.harness.job import Job
from boomlib.models.external import External, take_predictions

SMILES = ["CCO", "c1ccccc1O", "C[NH3+]", "N#CC"]
MOLECULES = Molecules(np.array([2, 3, 5, 7]), np.array(SMILES, dtype=object), np.array([1.0, np.nan, np.nan, 4.0]))
PARAMETERS = {
    "predictions": "external/theirs/{dataset}/{property}/{scheme}/seed{seed}.csv",
    "splits": {"tiny/size/kde": "0123456789ab"},
    "version": "0.3.0",
}
DESCRIPTOR = {
    "label": "Theirs",
    "family": "external",
    "class": "external.External",
    "source": "A paper.",
    "parameters": PARAMETERS,
}
RUN = {"dataset": "tiny", "property": "size", "scheme": "kde", "seed": 1, "model": "theirs"}


def read(folder, text, name="x.csv"):
    (folder / name).write_text(text)
    return read_external(folder / name, MOLECULES)


# -- files -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "molecule_id,y_pred\n7,4\n2,1\n5,-3e-1\n3,2.5\n",
        "note;molecule_id;y_pred\n;7.0;4\nhm;2;1\n;5;-0.3\n;3;2.5\n",
        "smiles,y_pred\nN#CC,4\nCCO,1\nC[NH3+],-0.3\nc1ccccc1O,2.5\n",
        "y_pred,smiles\n4,CC#N\n1, OCC \n-0.3,[NH3+]C\n2.5,Oc1ccccc1\n",
        "smiles,molecule_id,y_pred\nX,7,4\nX,2,1\nX,5,-0.3\nX,3,2.5\n",
    ],
    ids=["ids", "other columns", "smiles", "spellings", "both"],
)
def test_molecules_are_named_by_id_or_smiles_in_any_order_and_spelling(tmp_path, text):
    found = read(tmp_path, text)
    assert found.mean.tolist() == [1, 2.5, -0.3, 4]
    assert found.std is None


def test_a_parquet_file_is_read_with_its_standard_deviations(tmp_path):
    numbers = np.random.default_rng(0).normal(size=(2, 4)) / 3
    table = pd.DataFrame({"molecule_id": MOLECULES.molecule_id, "y_pred": numbers[0], "y_std": abs(numbers[1])})
    table.to_parquet(tmp_path / "x.parquet")
    table.to_csv(tmp_path / "x.csv", index=False)
    for name in ("x.parquet", "x.csv"):
        found = read_external(tmp_path / name, MOLECULES)
        assert found.mean.tobytes() == numbers[0].tobytes()
        assert found.std.tobytes() == abs(numbers[1]).tobytes()


def test_of_one_molecule_in_two_spellings_the_text_decides(tmp_path):
    twice = Molecules(np.arange(2), np.array(["CCO", "OCC"], dtype=object), np.full(2, np.nan))
    (tmp_path / "x.csv").write_text("smiles,y_pred\nOCC,1\nCCO,2\n")
    assert read_external(tmp_path / "x.csv", twice).mean.tolist() == [2, 1]
    (tmp_path / "x.csv").write_text("smiles,y_pred\nOCC,1\nC(C)O,2\n")
    with pytest.raises(
        ContractError, match=r"x\.csv, line 3 \(C\(C\)O\): smiles of no molecule .* as it stands there"
    ):
        read_external(tmp_path / "x.csv", twice)


ROWS = "2,1\n3,1\n5,1\n7,1\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "molecule_id,y_pred\n" + ROWS + "1,1\n",
            "line 6 (1): molecule_id of no molecule of valid, id or ood in 1 row",
        ),
        ("molecule_id,y_pred\n2,1\nmol_3,1\n,1\n", "line 3 (mol_3), line 4 (empty): molecule_id of no molecule"),
        ("smiles,y_pred\nCCO,1\nC1CC,1\nC~C,1\nCCCC,1\n", "line 3 (C1CC), line 4 (C~C), line 5 (CCCC): smiles of no"),
        (
            "molecule_id,y_pred\n" + ROWS + "2,1\n",
            "line 6 (2): a molecule that another row has before in 1 row; give each",
        ),
        ("smiles,y_pred\nCCO,1\nOCC,1\n", "line 3 (OCC): a molecule that another row has before in 1 row"),
        (
            "molecule_id,y_pred\n2,1\n3,nan\n5,\n7,inf\n",
            "line 3 (nan), line 4 (empty), line 5 (inf): y_pred is no finite",
        ),
        ("molecule_id,y_pred\n2,1\n3,1\n5,-1e200\n7,1\n", "line 4 (-1e200): y_pred beyond ±1e+30, as no label may be"),
        (
            "molecule_id;y_pred\n2;1,5\n3;1\n5;1\n7;1\n",
            "line 2 (1,5): y_pred is no finite number in 1 row; write numb",
        ),
        (
            "molecule_id,y_pred,y_std\n2,1,1\n3,1,-2\n5,1,0\n7,1,1\n",
            "line 3 (-2.0): y_std less than 0 in 1 row; give",
        ),
        (
            "molecule_id,y_pred,y_std\n2,1,1\n3,1,\n5,1,0\n7,1,1\n",
            "line 3 (empty): y_std is no finite number in 1 row",
        ),
        (
            "molecule_id,y\n" + ROWS,
            "no column 'y_pred' (it has: molecule_id, y); a file of predictions has the columns",
        ),
        (
            "name,y_pred\n" + ROWS,
            "no column 'smiles' (it has: name, y_pred); a file of predictions has the columns mol",
        ),
        ("molecule_id,y_pred,y_pred\n2,1,1\n", "more than one column 'y_pred'"),
        ("", "the file is empty"),
        ("molecule_id,y_pred\n2,1,1\n", "x.csv, line 2: 3 cells, but the header has 2 names"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(tmp_path, text, said):
    with pytest.raises(ContractError) as error:
        read(tmp_path, text)
    assert str(error.value).startswith(str(tmp_path / "x.csv"))
    assert said in str(error.value)


def test_five_of_many_rows_are_named(tmp_path):
    with pytest.raises(ContractError, match=r"line 2 \(90\), .*line 6 \(94\) …: molecule_id of .* in 9 rows"):
        read(tmp_path, "molecule_id,y_pred\n" + "".join(f"{each},1\n" for each in range(90, 99)))


def test_missing_molecules_are_named_and_how_many_are_of_valid(tmp_path):
    with pytest.raises(
        MoleculeError, match=r"x\.csv: 2 molecules are missing, 1 of them of valid; .* so add"
    ) as error:
        read(tmp_path, "molecule_id,y_pred\n2,1\n5,1\n")
    assert error.value.smiles == ["c1ccccc1O", "N#CC"]


# -- descriptors -------------------------------------------------------------------------------------------


def change(**parameters):
    return DESCRIPTOR | {"parameters": PARAMETERS | parameters}


@pytest.mark.parametrize(
    ("descriptor", "said"),
    [
        (DESCRIPTOR | {"family": "tabular"}, "`family: external` and `class: external.External` belong together"),
        (DESCRIPTOR | {"class": "control.oracle.Oracle", "parameters": {}}, "belong together"),
        (change(predictions="x/{sede}.csv"), "predictions: x/{sede}.csv: unknown field {sede}; did you mean 'seed'?"),
        (change(predictions="results/{seed}.csv"), "the workflow makes what is in results/"),
        (
            change(splits={"tiny/size": "0123456789ab"}),
            "splits: 'tiny/size' is no task; write dataset/property/scheme",
        ),
        (
            change(splits={"tiny/size/kde": "<hash>"}),
            "splits.tiny/size/kde: '<hash>' is no hash of a split; copy `spl",
        ),
        (change(splits={"tiny/size/kde": 123456789012}), "splits.tiny/size/kde: found 123456789012, allowed: a text"),
        (
            change(predictions="x/{property}.csv", splits=dict.fromkeys(["a/b/kde", "a/b/scaffold"], "0" * 12)),
            "one file for a/b/kde and a/b/scaffold; tell them apart by {dataset}, {property} or {scheme}",
        ),
        (DESCRIPTOR | {"parameters": {"predictions": "x"}}, "the parameter 'splits' is missing"),
    ],
)
def test_a_wrong_descriptor_is_refused(descriptor, said):
    with pytest.raises(ContractError) as error:
        registry.make_model(descriptor, {}, "config/models/theirs.yaml")
    assert str(error.value).startswith("config/models/theirs.yaml: ")
    assert said in str(error.value)


def test_a_pattern_is_filled_in_by_its_fields_alone():
    assert fill_in("{seed}/{scheme}-{seed}.csv", RUN) == "1/kde-1.csv"
    assert registry.make_model(DESCRIPTOR, {}, "theirs.yaml")["parameters"] == PARAMETERS


def test_a_file_that_is_not_there_and_a_split_that_is_not_answered_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = "external/theirs/tiny/size/kde/seed1.csv"
    said = (
        f"external model 'theirs': no file {file} in {tmp_path}, seed 1 of tiny/size/kde by its descriptor's `predict"
    )
    with pytest.raises(
        ContractError, match=re.escape(said) + r".*\{dataset\}/\{property\}/\{scheme\}/seed\{seed\}\.csv"
    ):
        find_predictions(DESCRIPTOR, RUN)
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).touch()
    assert find_predictions(DESCRIPTOR, RUN) == file
    with pytest.raises(ContractError, match=r"splits` lack tiny/size/scaffold \(known: tiny/size/kde\); add pred"):
        find_predictions(DESCRIPTOR, RUN | {"scheme": "scaffold"})


# -- what is under git -------------------------------------------------------------------------------------


def ship(folder, monkeypatch, file="theirs/tiny/size/kde/seed1.csv"):
    monkeypatch.chdir(folder)
    path = folder / "external" / file
    path.parent.mkdir(parents=True)
    path.write_text("smiles,y_pred\n")
    return path


PUBLIC = DESCRIPTOR | {"citation": "https://example.org", "licence": "CC0-1.0"}


def test_the_runs_whose_predictions_are_under_git(tmp_path, monkeypatch):
    assert list_shipped(registry.load_models(), "nowhere") == []
    ship(tmp_path, monkeypatch)
    assert list_shipped({"theirs": PUBLIC}) == [{**RUN, "seed": "1"}]


@pytest.mark.parametrize(
    ("file", "models", "said"),
    [
        ("theirs/notes.txt", {"theirs": PUBLIC}, "external/theirs/notes.txt: not external/{model}/{dataset}/"),
        ("theirs/tiny/size/kde/seed1.pkl", {"theirs": PUBLIC}, "seed1.pkl: not external/{model}/{dataset}/"),
        ("theirs/tiny/size/kde/seed1.csv", {}, "no config/models/theirs.yaml of `family: external`; add it"),
        ("theirs/tiny/size/kde/seed1.csv", {"theirs": {"family": "tabular"}}, "of `family: external`; add it"),
        ("theirs/tiny/size/scaffold/seed1.csv", {"theirs": PUBLIC}, "`splits` lack tiny/size/scaffold"),
        ("theirs/tiny/size/kde/seed1.csv.gz", {"theirs": PUBLIC}, "no file external/theirs/tiny/size/kde/seed1.csv"),
        ("theirs/tiny/size/kde/seed1.csv", {"theirs": DESCRIPTOR}, "config/models/theirs.yaml: no `citation`"),
    ],
)
def test_what_a_public_page_cannot_show_is_refused(tmp_path, monkeypatch, file, models, said):
    ship(tmp_path, monkeypatch, file)
    with pytest.raises(ContractError) as error:
        list_shipped(models)
    assert said in str(error.value)


def test_a_large_file_and_a_link_are_refused(tmp_path, monkeypatch):
    path = ship(tmp_path, monkeypatch)
    monkeypatch.setattr(external, "LARGEST", 3)
    with pytest.raises(ContractError, match=r"seed1\.csv: more than 3 bytes"):
        list_shipped({"theirs": PUBLIC})
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ContractError, match=r"seed1\.csv: not .* or a link"):
        list_shipped({"theirs": PUBLIC})


def test_what_is_large_once_unpacked_is_refused(tmp_path, monkeypatch):
    text, table = b"smiles,y_pred\n" * 50, pd.DataFrame({"molecule_id": np.arange(50), "y_pred": np.zeros(50)})
    packed, rows = tmp_path / "seed1.csv.gz", tmp_path / "seed1.parquet"
    packed.write_bytes(gzip.compress(text))
    table.to_parquet(rows)
    for path in (packed, rows):
        external.check_size(path)
    monkeypatch.setattr(external, "UNPACKED", len(text) - 1)
    monkeypatch.setattr(external, "MOST_CELLS", 99)
    with pytest.raises(ContractError, match=r"seed1\.csv\.gz: more than 699 bytes unpacked"):
        external.check_size(packed)
    with pytest.raises(ContractError, match=r"seed1\.parquet: more than 99 cells"):
        external.check_size(rows)
    for path in (packed, rows):
        path.write_bytes(path.read_bytes()[:20])
        with pytest.raises(ContractError, match="not readable as"):
            external.check_size(path)


# -- the job -----------------------------------------------------------------------------------------------


@pytest.fixture
def job(tmp_path):
    """A job, the file that it reads and the description of its task."""
    write_benchmark(tmp_path, [], ["ridge"])
    described = {"dataset": "tiny", "property": PROPERTY, "scheme": "kde", "split": "0123456789ab", "version": "0.3.0"}
    write_json(tmp_path / "task.json", described | {"folds": {"train": 14, "valid": 4, "id": 3, "ood": 3}})
    given = Job(
        task=tmp_path / "task.parquet",
        features={},
        predictions=tmp_path / "seed3.parquet",
        run=tmp_path / "seed3/run.json",
        model={key: DESCRIPTOR[key] for key in ("class", "parameters")},
        kind="extensive",
        property=PROPERTY,
        seed=3,
        log="logs/train.log",
    )
    return given, str(tmp_path / "predictions/ridge.parquet"), tmp_path / "task.json"


def test_what_is_taken_in_are_the_predictions_as_they_are(job):
    given, file, described = job
    take_predictions(given, file, described)
    assert given.predictions.read_bytes() == Path(file).read_bytes()
    record = json.loads(given.run.read_text())
    assert (record["device"], record["seconds"], record["versions"]) == ("unknown", None, {})
    assert record["file"]["path"] == file
    model = External(kind="extensive", seed=3, **PARAMETERS)
    model.file = Path(file)
    table = contracts.read_table(given.task)
    asked = table.filter(np.isin(table["fold"].to_numpy().astype(str), contracts.PREDICTED_FOLDS))
    molecules = Molecules(*(asked[name].to_numpy() for name in ("molecule_id", "smiles", "y")))
    expected = contracts.read_table(given.predictions)["y_pred"].to_numpy()
    assert np.array_equal(model.predict(molecules).mean, expected)
    with pytest.raises(ContractError, match="molecule_id of no molecule"):
        model.predict(molecules.take(np.arange(2)))


@pytest.mark.parametrize(
    ("version", "since"),
    [
        ("0.3.0", "theirs is of this version of the benchmark, 0.3.0, so the source or the settings were others"),
        ("0.2.0", "theirs is of version 0.3.0 of the benchmark, and this is 0.2.0 (see CHANGELOG.md)"),
    ],
)
def test_predictions_of_another_split_are_refused_with_both_hashes(job, version, since):
    given, file, described = job
    write_json(described, json.loads(described.read_text()) | {"split": "ffffffffffff", "version": version})
    with pytest.raises(ContractError) as error:
        take_predictions(given, file, described)
    for part in (
        f"{file}, by its descriptor's `splits`, answers split 0123456789ab of tiny/size/kde",
        "ours is ffffffffffff",
        since,
        "predict the molecules of results/tasks/tiny/size/kde.parquet anew",
    ):
        assert part in str(error.value)
    failure = json.loads((given.folder / "failure.json").read_text())
    assert (failure["error"], failure["log"]) == ("ContractError", "logs/train.log")
    assert not given.predictions.exists()


def test_missing_molecules_are_named_by_their_place_in_the_users_file(job, tmp_path):
    given, file, described = job
    table = contracts.read_table(file)
    contracts.write_table(table.slice(1), tmp_path / "short.parquet")
    task = contracts.read_table(given.task)
    origin = contracts.Origin("own.csv", "line", np.arange(task.num_rows) + 2)
    contracts.write_table(task.append_column(*origin.as_column()), given.task)
    line = table["molecule_id"][0].as_py() + 2
    with pytest.raises(
        ContractError, match=rf"^own\.csv, line {line} \(.+\): .*short\.parquet: 1 molecules are missing"
    ):
        take_predictions(given, str(tmp_path / "short.parquet"), described)
    assert (given.folder / "failure.json").exists()
