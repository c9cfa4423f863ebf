"""python -m boomlib.predict: files in, files out, nothing lost."""

import bz2
import csv
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ROOT
from tiny import TrainingJob, small_descriptor, write_benchmark

from boomlib import predict
from boomlib.datasets.stream import MoleculeFile
from boomlib.files import ContractError
from boomlib.harness.kept import KeptPrediction, read_kept

SMILES = ["CCO", "C1CC", "[Na+].[Cl-]", "C", "[Xe]", "CCC(=O)OC"]
BROKEN = "RDKit cannot parse the SMILES"


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Path]:
    """Folders of kept runs: a ridge regression with two seeds, boosted trees and a mean."""
    folder = tmp_path_factory.mktemp("runs")
    write_benchmark(folder, {"elements", "morgan_counts", "descriptors"})
    made = {}
    for name, seed in (("mlp", 3), ("mlp", 4), ("ridge", 3), ("train_mean", 3)):
        job = TrainingJob(small_descriptor(name), folder, folder / f"{name}{seed}")
        job(seed=seed)
        made[f"{name}{seed}"] = job.folder
    return made


@pytest.fixture
def table(tmp_path) -> Path:
    """A file as spreadsheets write it."""
    path = tmp_path / "molecules.csv"
    lines = [f'{row};"{text}";"a; b ""{row}"""' for row, text in enumerate(SMILES)]
    path.write_text("\n".join(["number;SMILES;remark", *lines[:3], "", *lines[3:]]) + "\n", encoding="utf-8-sig")
    return path


def run_module(*arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "boomlib.predict", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_file_comes_back_with_predictions_and_reasons(runs, table, tmp_path):
    out = tmp_path / "said.csv"
    ran = run_module(runs["ridge3"], table, "--out", out)
    assert ran.returncode == 0, ran.stderr
    assert "said.csv: 1 of 6 molecules lack a prediction" in ran.stderr
    said = list(csv.DictReader(out.open(newline="")))
    assert [row["number"] for row in said] == list("012345")
    assert [row["SMILES"] for row in said] == SMILES
    assert said[2]["remark"] == 'a; b "2"'
    assert [row["note"] for row in said] == ["", BROKEN, "", "", "", ""]
    expected = read_kept(runs["ridge3"]).predict(SMILES).mean
    assert [float(row["y_pred"] or "nan") for row in said] == pytest.approx(expected.tolist(), nan_ok=True, abs=0)


def test_mistakes_are_one_line(runs, table, tmp_path):
    for arguments, message in (
        ((tmp_path, table), "error: .*no folder of a run"),
        ((runs["ridge3"], tmp_path / "none.csv"), "error: .*none.csv: not readable"),
        ((runs["ridge3"], table, "--smiles-column", "structure"), "error: .*no column 'structure'"),
    ):
        ran = run_module(*arguments, "--out", tmp_path / "said.csv")
        assert ran.returncode == 1
        assert "Traceback" not in ran.stderr
        assert re.search(message, ran.stderr)
    assert not (tmp_path / "said.csv").exists()


def ask(runs, names, path, out, column=None) -> pd.DataFrame:
    predict.predict_file([read_kept(runs[name]) for name in names], MoleculeFile(path, column), out)
    return pd.read_parquet(out) if out.suffix == ".parquet" else pd.read_csv(out)


def test_seeds_of_one_model_are_one_column_with_their_spread(runs, table, tmp_path):
    said = ask(runs, ["mlp3", "mlp4"], table, tmp_path / "said.parquet")
    assert list(said.columns) == ["number", "SMILES", "remark", "y_pred", "y_std", "y_spread", "note"]
    seeds = np.array([read_kept(runs[name]).predict(SMILES).mean for name in ("mlp3", "mlp4")])
    np.testing.assert_array_equal(said["y_pred"], seeds.mean(axis=0))
    np.testing.assert_array_equal(said["y_spread"], seeds.std(axis=0, ddof=1))
    np.testing.assert_allclose(said["y_std"], said["y_spread"], rtol=1e-12)
    assert said["note"].fillna("").tolist() == ["", BROKEN, "", "", "", ""]
    with pytest.raises(ContractError, match="seed 3 is given twice"):
        ask(runs, ["mlp3", "mlp3"], table, tmp_path / "twice.csv")


def test_several_models_are_columns_by_name(runs, table, tmp_path):
    said = ask(runs, ["ridge3", "mlp3", "train_mean3"], table, tmp_path / "said.csv")
    assert list(said.columns)[3:] == ["ridge", "mlp", "train_mean", "note"]
    assert said["note"][1] == BROKEN


def test_a_reason_of_one_model_names_it():
    told = {"ridge": {0: "no", 2: "no"}, "mlp": {0: "no", 1: "never", 2: "never"}}
    assert predict.write_notes(4, told) == ["no", "mlp: never", "ridge: no; mlp: never", None]


def name_all(*models) -> list[str]:
    keys = [{"dataset": "d", "property": name, "scheme": "kde", "model": model} for name, model in models]
    return [names[0] for names in predict.name_columns(keys)]


def test_no_two_columns_have_one_name():
    assert name_all(("hof", "ridge"), ("density", "ridge")) == ["hof_ridge", "density_ridge"]
    assert name_all(("hof", "ridge"), ("hof", "note")) == ["hof_ridge", "hof_note"]
    with pytest.raises(ContractError, match=r"d_hof_kde_mlp and d_hof_kde_mlp_low: .* 'd_hof_kde_mlp_low'; rename"):
        name_all(("hof", "mlp"), ("hof", "mlp_low"))


def test_the_deviation_is_the_models_own_and_that_over_seeds():
    answers = [KeptPrediction(np.array([mean]), np.array([2.0])) for mean in (1.0, 3.0)]
    columns = predict.combine(answers, ("y", "y_std", "y_spread"))
    assert [float(values[0]) for values in columns.values()] == pytest.approx([2, 6**0.5, 2**0.5])
    alone = predict.combine(answers[:1], ("y", "y_std", "y_spread"))
    assert {name: float(values[0]) for name, values in alone.items()} == {"y": 1, "y_std": 2}


def test_runs_that_differ_in_more_than_their_seed_are_no_seeds(runs):
    first, second = (read_kept(runs[name]) for name in ("mlp3", "mlp4"))
    other = predict.KeptModel(second.facts | {"kind": "intensive"}, second.model, "other")
    with pytest.raises(ContractError, match=r"differ in more than their seed: kind; ask them apart"):
        predict.group_seeds([first, other])


def test_text_is_separated_as_its_name_says_and_other_names_are_refused(runs, table, tmp_path):
    predict.predict_file([read_kept(runs["ridge3"])], MoleculeFile(table), tmp_path / "said.tsv")
    assert (tmp_path / "said.tsv").read_text().splitlines()[0] == "number\tSMILES\tremark\ty_pred\tnote"
    with pytest.raises(ContractError, match=r"said\.csv\.gz: written are \.csv, \.tsv, "):
        ask(runs, ["ridge3"], tmp_path / "none.csv", tmp_path / "said.csv.gz")


def test_nothing_predicted_at_all_is_a_failure(runs, tmp_path):
    (tmp_path / "in.csv").write_text("smiles\nC1CC\n\nC1CCC\n")
    ran = run_module(runs["ridge3"], tmp_path / "in.csv", "--out", tmp_path / "said.csv")
    assert (ran.returncode, f"none of 2 rows has a prediction ({BROKEN})" in ran.stderr) == (1, True)


def test_parquet_keeps_its_types_and_order(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(predict, "CHUNK", 4)
    columns = {"id": pa.array(range(6)), "structure": pa.array(SMILES), "tags": pa.array([["a"]] * 6)}
    pq.write_table(pa.table(columns), tmp_path / "in.parquet")
    ask(runs, ["ridge3"], tmp_path / "in.parquet", tmp_path / "out.parquet", "structure")
    found = pq.read_table(tmp_path / "out.parquet")
    assert found.select(list(columns)).equals(pa.table(columns))
    assert found["y_pred"].null_count == 1
    assert found["note"].to_pylist()[1] == BROKEN


def test_smiles_alone_need_no_header(runs, tmp_path):
    path = tmp_path / "molecules.smi.bz2"
    path.write_bytes(bz2.compress(b"CCO ethanol, pure\n\nC1CC broken\nC\n"))
    said = ask(runs, ["train_mean3"], path, tmp_path / "said.csv")
    assert said["smiles"].tolist() == ["CCO", "C1CC", "C"]
    assert said["name"].fillna("").tolist() == ["ethanol, pure", "broken", ""]
    assert said["note"].fillna("").tolist() == ["", BROKEN, ""]


def test_lines_may_end_in_returns_and_cells_be_long(runs, tmp_path):
    path, long = tmp_path / "in.csv", "x" * 200_000
    path.write_text("smiles,text\r" + "CCO,a\r" * 20_000 + f"CC,{long}\r", newline="")
    said = ask(runs, ["train_mean3"], path, tmp_path / "said.csv")
    assert len(said) == 20_001 and said["text"][20_000] == long


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array([b"CC", b"\xe9"]), r"row 2: column 'smiles' has a value"),
        (pa.array([0, 10**9 * 400], pa.timestamp("s")), r"row 2: column 'when' has a value"),
    ],
)
def test_values_of_parquet_that_cannot_be_read_are_found_first(runs, tmp_path, column, message):
    smiles = {"smiles": pa.array([b"CC", b"C"])}
    name = "when" if pa.types.is_timestamp(column.type) else "smiles"
    pq.write_table(pa.table(smiles | {name: column}), tmp_path / "in.parquet")
    with pytest.raises(ContractError, match=message):
        ask(runs, ["train_mean3"], tmp_path / "in.parquet", tmp_path / "said.csv")
    assert not (tmp_path / "said.csv").exists()


def test_bytes_of_parquet_are_text(runs, tmp_path):
    pq.write_table(pa.table({"smiles": pa.array([b"CC", b"C"])}), tmp_path / "in.parquet")
    assert ask(runs, ["train_mean3"], tmp_path / "in.parquet", tmp_path / "said.csv")["smiles"].tolist() == ["CC", "C"]


def test_groups_of_rows_are_not_as_small_as_what_is_predicted_at_once(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(predict, "CHUNK", 4)
    (tmp_path / "in.csv").write_text("smiles\n" + "C\n" * 25)
    ask(runs, ["train_mean3"], tmp_path / "in.csv", tmp_path / "said.parquet")
    assert pq.read_metadata(tmp_path / "said.parquet").num_row_groups == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no molecules; the file is empty"),
        ("C1CC\nCC\n", "if the file has SMILES alone, its first line has to be one"),
        ("a,b\n1,2\n", r"no column 'smiles' \(it has: a, b\); name the column of SMILES with --smiles-column"),
        ("smiles,a,a\nC,1,2\n", "more than one column 'a'"),
        ("smiles,y_pred\nC,1\n", "its column 'y_pred' has the name of one that is written"),
        ("smiles,a\nC,1\nCC\n", "line 3: 1 cells, but the header has 2 names"),
        ('smiles,a\nC,1\nCC,"2\n', "line 3: a quotation mark"),
        ("smiles\n", "no molecules"),
        (b"smiles,a\nC,\xe9\n", "line 2: not UTF-8"),
        (b"\x89HDF\r\n", "HDF5"),
    ],
)
def test_files_that_cannot_be_read_are_explained_before_anything_is_written(runs, tmp_path, content, message):
    path = tmp_path / "molecules.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ContractError, match=message):
        ask(runs, ["train_mean3"], path, tmp_path / "said.csv")
    assert not (tmp_path / "said.csv").exists()


def test_bytes_that_are_no_text_far_down_a_file_are_found_first(runs, tmp_path):
    path = tmp_path / "molecules.csv"
    path.write_bytes(b"smiles\n" + b"CCO\n" * 40_000 + b"C\xe9\n")
    with pytest.raises(ContractError, match="not UTF-8"):
        ask(runs, ["train_mean3"], path, tmp_path / "said.csv")


def test_the_file_of_molecules_is_not_written_over(runs, table):
    with pytest.raises(ContractError, match="the file of molecules itself"):
        ask(runs, ["train_mean3"], table, table)


def test_files_are_read_in_parts(runs, tmp_path, monkeypatch):
    path = tmp_path / "molecules.csv"
    path.write_text("smiles\n" + "CCO\n" * 25)
    sizes, real = [], predict.ask
    monkeypatch.setattr(predict, "CHUNK", 10)
    monkeypatch.setattr(predict, "ask", lambda groups, smiles: sizes.append(len(smiles)) or real(groups, smiles))
    assert len(ask(runs, ["train_mean3"], path, tmp_path / "said.csv")) == 25
    assert sizes == [0, 10, 10, 5]
