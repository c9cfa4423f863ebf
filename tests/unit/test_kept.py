"""Kept models: what may be read, what is refused by name, and what one molecule breaks for another."""

import logging
import re
import shutil
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from tiny import CONFIG, TrainingJob, small_descriptor, write_benchmark

from boomlib import contracts
from boomlib.features import descriptors
from boomlib.files import ContractError, MoleculeError, read_json, write_json
from boomlib.harness.keeping import describe_run, import_features
from boomlib.harness.kept import read_kept
from boomlib.harness.unseen import NewMolecules
from boomlib.predict import MoleculeFile, predict_file
from boomlib.provenance import versions

MEMBERS = ["group_contribution", "mlp"]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Folders of runs as the workflow has them, {model}/seed3, of a ridge regression and of members of a committee."""
    folder = tmp_path_factory.mktemp("kept")
    write_benchmark(folder, {"elements", "morgan_counts", "descriptors"})
    for name in ("ridge", *MEMBERS):
        TrainingJob(small_descriptor(name), folder, folder / name)()
    return folder


@pytest.fixture
def run(made, tmp_path) -> Path:
    """A copy of the ridge regression's run."""
    return shutil.copytree(made / "ridge/seed3", tmp_path / "seed3")


def change(run: Path, **facts) -> None:
    write_json(run / "kept.json", read_json(run / "kept.json") | facts)


def test_a_kept_model_says_what_it_is(run):
    facts = read_json(run / "kept.json")
    assert (facts["model"], facts["label"], facts["unit"]) == ("ridge", "Ridge", "kcal/mol")
    assert (facts["dataset"], facts["property"], facts["scheme"], facts["seed"]) == ("tiny", "size", "kde", 3)
    assert facts["code"] == read_json(run / "run.json")["code"]
    assert facts["train"]["molecules"] == 14
    assert facts["train"]["least"] < facts["train"]["largest"] < 0
    assert {"H", "C"} <= set(facts["train"]["elements"]) <= {"H", "C", "N", "O", "F"}
    assert facts["settings"] == {"descriptors": {}, "elements": {}, "morgan_counts": {}}
    assert list(facts["files"]) == ["model.skops"]
    assert "rdkit" in facts["versions"]


def test_one_text_is_no_list_of_molecules(run):
    with pytest.raises(TypeError, match=r"a list of SMILES, and not one text; give \['CCO'\]"):
        read_kept(run).predict("CCO")


def test_a_run_that_keeps_nothing_leaves_no_earlier_record(made, tmp_path):
    job = TrainingJob(small_descriptor("ridge"), made, tmp_path)
    job()
    assert (job.folder / "kept.json").exists()
    job(keep=None)
    with pytest.raises(ContractError, match=r"seed3: no kept\.json: .* without keep_models.*\.parquet --configfile"):
        read_kept(job.folder)


def test_a_folder_of_no_run_is_told(tmp_path):
    with pytest.raises(ContractError, match="no folder of a run"):
        read_kept(tmp_path)


def test_an_external_model_is_told_to_have_nothing_but_predictions(tmp_path):
    write_json(tmp_path / "run.json", {"model": {"class": "external.External"}})
    with pytest.raises(ContractError, match="of an external model its predictions alone are known"):
        read_kept(tmp_path)


def test_missing_and_changed_files_are_named(run):
    with (run / "model.skops").open("ab") as stream:
        stream.write(b"more")
    with pytest.raises(ContractError, match=r"seed3/model\.skops: not the file that the run has written"):
        read_kept(run)
    (run / "model.skops").unlink()
    with pytest.raises(ContractError, match=r"seed3/model\.skops: no such file"):
        read_kept(run)


def test_a_pickle_in_place_of_a_file_is_not_opened(run):
    opened = run / "opened"

    class Trap:
        def __reduce__(self):
            return opened.touch, ()

    joblib.dump(Trap(), run / "model.joblib")
    read_kept(run)  # model.skops is there, and read
    (run / "model.skops").unlink()
    for files in ({}, {"model.joblib": "0" * 64}):
        change(run, files=files)
        with pytest.raises(ContractError, match=r"model\.joblib"):
            read_kept(run)
    assert not opened.exists()


def test_other_code_is_refused_or_told(run, caplog):
    made_by = read_json(run / "kept.json")["code"]
    change(run, code="of another checkout")
    with pytest.raises(ContractError, match=rf"code of another checkout, here {made_by}.* commit .*--other-code"):
        read_kept(run)
    with caplog.at_level(logging.WARNING):
        read_kept(run, other_code=True)
    assert "code of another checkout" in caplog.text


def test_other_releases_of_what_decides_numbers_are_refused(run):
    there = read_json(run / "kept.json")["versions"]
    change(run, versions=there | {"numpy": "1.26.4", "pyarrow": "1.0.0", "python": "3.9.1"})
    with pytest.raises(ContractError, match=r"made with numpy 1\.26\.4, here [\d.]+; predictions"):
        read_kept(run)
    major, minor, _ = there["numpy"].split(".", 2)
    change(run, versions=there | {"numpy": f"{major}.{minor}.99"})
    read_kept(run)


@pytest.mark.parametrize("version", ["99.0.0", "unknown"])
def test_a_later_version_of_the_benchmark_is_refused(run, version):
    change(run, version=version)
    with pytest.raises(ContractError, match=f"kept by version {version} of the benchmark"):
        read_kept(run)


def test_an_unknown_class_is_refused(run):
    change(run, **{"class": "tabular.nowhere.Nothing"})
    with pytest.raises(ContractError, match=r"boomlib\.models\.tabular\.nowhere.* is not here"):
        read_kept(run, other_code=True)


@pytest.mark.parametrize(
    ("model", "remedy"), [("physics_ridge", "ask `physics_ridge_embedded`"), ("mace_small", "conformers: embedded")]
)
def test_a_model_of_the_sources_geometry_is_refused_with_its_remedy(run, model, remedy):
    config = {"tasks": ["qm9_sample/gap"], "models": [model]}
    asked = {"dataset": "qm9_sample", "property": "gap", "scheme": "kde", "model": model}
    described = describe_run(config, asked)
    change(run, **{key: described[key] for key in ("dataset", "model", "label", "needs")})
    with pytest.raises(ContractError, match=f"reads the geometries of qm9_sample's source.*{remedy}"):
        read_kept(run)
    tiny = describe_run(CONFIG | {"models": [model]}, asked | {"dataset": "tiny", "property": "size"})
    assert tiny["needs"] == "embedded geometry"


def test_settings_of_a_dataset_are_those_of_features_that_features_read():
    config = {"tasks": ["csd10k/hof"], "models": ["physics_ridge"]}
    run = {"dataset": "csd10k", "property": "hof", "scheme": "kde", "model": "physics_ridge"}
    settings = describe_run(config, run)["settings"]
    assert settings["conformers"] == {"max_embedding_attempts": 1600}
    assert settings["xtb"] == {}


def test_identity_changes_with_what_may_change_a_prediction(run):
    identities = {read_kept(run).identity}
    change(run, label="another name", unit="1")
    assert read_kept(run).identity in identities
    for facts in ({"max_heavy_atoms": 9}, {"seed": 4}, {"settings": {**read_kept(run).facts["settings"], "x": {}}}):
        change(run, **facts)
        identities.add(read_kept(run).identity)
    assert len(identities) == 4


def test_larger_molecules_than_the_dataset_may_have_are_refused(run):
    change(run, max_heavy_atoms=3)
    assert read_kept(run).predict(["CCO", "CCCO"]).reasons == {
        1: "4 atoms besides hydrogen, more than `max_heavy_atoms` (3)"
    }


def test_a_committee_asks_its_members(made, tmp_path):
    descriptor = small_descriptor("committee")
    descriptor["parameters"] = {"members": MEMBERS, "folds": 2}
    runs = shutil.copytree(made, tmp_path / "runs")
    job = TrainingJob(descriptor, made, runs / "committee")
    (runs / "committee").mkdir()
    job(members={name: runs / f"{name}/seed3.parquet" for name in MEMBERS})
    moved = runs.rename(tmp_path / "elsewhere")
    kept = read_kept(moved / "committee/seed3")
    assert set(kept.members) == set(MEMBERS)
    table = contracts.read_table(moved / "committee/seed3.parquet")
    smiles = contracts.read_table(made / "molecules.parquet")["smiles"].to_numpy()[table["molecule_id"].to_numpy()]
    said = kept.predict([*smiles, "C1CC"])
    assert said.mean[:-1].tobytes() == table["y_pred"].to_numpy().tobytes()
    assert said.std[:-1].tobytes() == table["y_std"].to_numpy().tobytes()
    assert list(said.reasons) == [10]
    asked, calls, predict = NewMolecules(["CC"]), [], kept.members["mlp"].model.predict
    kept.members["mlp"].model.predict = lambda molecules: calls.append(len(molecules)) or predict(molecules)
    kept.members["mlp"].predict(asked)
    kept.predict(asked)
    assert calls == [1]
    change(moved / "mlp/seed3", max_heavy_atoms=9)
    with pytest.raises(ContractError, match="fitted with another 'mlp' than"):
        read_kept(moved / "committee/seed3")
    members = read_json(moved / "committee/seed3/kept.json")["members"]
    change(moved / "committee/seed3", members={name: each | {"identity": None} for name, each in members.items()})
    read_kept(moved / "committee/seed3")
    shutil.rmtree(moved / "mlp")
    with pytest.raises(ContractError, match="mlp/seed3: no folder of a run"):
        read_kept(moved / "committee/seed3")


def test_a_feature_that_fails_with_molecules_is_computed_of_the_others(run, monkeypatch):
    compute = descriptors.compute

    def fail(smiles):
        if {"CCO", "CCN"} & set(smiles):
            raise ZeroDivisionError("no such ring")
        return compute(smiles)

    kept, others = read_kept(run), ["CCC", "CCCC", "CCF"]
    expected = kept.predict(others).mean
    monkeypatch.setattr(descriptors, "compute", fail)
    said = kept.predict(["CCC", "CCO", "CCCC", "CCN", "CCF"])
    reason = "descriptors: ZeroDivisionError: no such ring"
    assert said.reasons == {1: reason, 3: reason}
    np.testing.assert_allclose(said.mean[[0, 2, 4]], expected, rtol=1e-9)
    all_fail = kept.predict(["CCO", "CCN"])
    assert np.isnan(all_fail.mean).all()
    assert len(all_fail.reasons) == 2


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            lambda smiles: MoleculeError("it is too strange; remove it", [each for each in smiles if "F" in each]),
            "it is too strange",
        ),
        (lambda smiles: IndexError("out of range"), "IndexError: out of range"),
    ],
    ids=["named", "unnamed"],
)
def test_a_model_that_fails_with_molecules_predicts_the_others(run, monkeypatch, error, reason):
    kept = read_kept(run)
    predict = kept.model.predict

    def fail(molecules):
        if any("F" in text for text in molecules.smiles):
            raise error(molecules.smiles)
        return predict(molecules)

    expected = kept.predict(["CCC", "CCO"]).mean
    monkeypatch.setattr(kept.model, "predict", fail)
    said = kept.predict(["CCF", "CCC", "FCF", "CCO"])
    assert said.reasons == {0: reason, 2: reason}
    np.testing.assert_allclose(said.mean[[1, 3]], expected, rtol=1e-9)


def test_a_prediction_that_is_no_number_is_a_reason(run, monkeypatch):
    kept = read_kept(run)
    kept.model.intercept = np.inf
    said = kept.predict(["CC"])
    assert np.isnan(said.mean[0])
    assert said.reasons == {0: "the model's prediction is not a finite number"}


def test_models_that_are_asked_for_the_same_molecules_compute_a_feature_once(made, monkeypatch):
    compute, calls = descriptors.compute, []
    monkeypatch.setattr(descriptors, "compute", lambda smiles: calls.append(len(smiles)) or compute(smiles))
    asked = NewMolecules(["CC", "CCO"])
    for name in ("ridge", "mlp"):
        read_kept(made / name / "seed3").predict(asked)
    assert calls.count(2) == 1


@pytest.mark.parametrize(
    "error", [MemoryError(), OSError(28, "No space left on device"), RuntimeError("CUDA out of memory. Tried to")]
)
def test_what_the_machine_lacks_is_no_answer(run, monkeypatch, error):
    def fail(*arguments):
        raise error

    kept = read_kept(run)
    with monkeypatch.context() as patch:
        patch.setattr(kept.model, "predict", fail)
        with pytest.raises(type(error)):
            kept.predict(["CC", "CCO"])
    monkeypatch.setattr(descriptors, "compute", lambda smiles: fail() if smiles else {})
    with pytest.raises(type(error)):
        kept.predict(["CC", "CCO"])


def test_what_stands_for_a_single_point_that_lacks_is_told(tmp_path):
    descriptor = small_descriptor("physics_ridge_embedded")
    write_benchmark(tmp_path, descriptor["features"])
    job = TrainingJob(descriptor, tmp_path, tmp_path)
    job()
    (tmp_path / "molecules.smi").write_text("CCO\nC[Og]\nnone\n")
    n, lacking, _ = predict_file(
        [read_kept(job.folder)], MoleculeFile(tmp_path / "molecules.smi", None), tmp_path / "p.csv"
    )
    assert (n, lacking) == (3, 1), "a prediction that lacks something is one"
    said = pd.read_csv(tmp_path / "p.csv")
    assert said["y_pred"].notna().tolist() == [True, True, False]
    assert said["note"].isna().tolist() == [True, False, False]
    assert re.fullmatch(r"train's median for what xtb_embedded lacks \(.+\)", said["note"][1])


def test_packages_of_features_are_recorded():
    import_features(["xtb_embedded"])
    assert {"rdkit", "tblite"} <= set(versions())
