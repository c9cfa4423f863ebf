"""Screens of files by kept models: nothing lost, each molecule asked once, memory and order kept."""

import csv
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ROOT
from tiny import PROPERTY, TrainingJob, small_descriptor, write_benchmark

from boomlib.contracts import read_table, write_table
from boomlib.evaluation.applicability import FEATURES, Domain, fit_domain
from boomlib.evaluation.conformal import Calibration, combine_seeds
from boomlib.evaluation.uncertainty import judge_uncertainty
from boomlib.features import elements
from boomlib.files import ContractError, read_json, write_json
from boomlib.harness.kept import read_kept
from boomlib.harness.unseen import NewMolecules
from boomlib.screening import panel
from boomlib.screening.answers import Answers, open_store
from boomlib.screening.columns import tabulate
from boomlib.screening.screen import Asked, check_file, screen_file
from boomlib.screening.summary import OTHER, SHOWN, Extremes, Summary

SMILES = ["CCO", "C1CC", "[Na+].[Cl-]", "C", "", "CCO", "C" * 80, "[Xe]", "CC(=O)OC"]
BROKEN = "RDKit cannot parse the SMILES"


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory) -> Path:
    """A benchmark, its split and what is near its train."""
    folder = tmp_path_factory.mktemp("benchmark")
    write_benchmark(folder, {"elements", "morgan_counts", "descriptors"})
    task = read_table(folder / "task.parquet")
    split = task.select(["molecule_id", "fold"]).append_column("density", pa.array(np.ones(len(task))))
    write_table(split, folder / "split.parquet")
    features = {name: folder / f"{name}.parquet" for name in FEATURES}
    fit_domain(
        *(folder / f"{name}.parquet" for name in ("molecules", "split")),
        features,
        folder / "domain.parquet",
        folder / "scores.parquet",
        property_name=PROPERTY,
    )
    return folder


@pytest.fixture(scope="module")
def asked(benchmark) -> Asked:
    """A ridge regression with one seed twice over, and a network with two."""
    models, folders, uncertainty = [], [], []
    for name in ("ridge", "mlp"):
        jobs = {seed: TrainingJob(small_descriptor(name), benchmark, benchmark / f"{name}{seed}") for seed in (3, 4)}
        for seed, job in jobs.items():
            job(seed=seed)
        key = {"dataset": "tiny", "property": PROPERTY, "scheme": "kde", "model": name}
        uncertainty.append(str(benchmark / f"{name}.json"))
        judge_uncertainty(
            *(benchmark / f"{each}.parquet" for each in ("molecules", "split")),
            {seed: job.predictions for seed, job in jobs.items()},
            *(benchmark / f"{each}.parquet" for each in ("domain", "scores")),
            uncertainty[-1],
            property_name=PROPERTY,
            model=key,
            unit="kcal/mol",
        )
        models.append(key | {"label": name, "unit": "kcal/mol"})
        folders.append([str(job.folder) for job in jobs.values()])
    return Asked(models, folders, [str(benchmark / "domain.parquet")] * 2, uncertainty)


def write_smiles(path: Path, smiles: list[str]) -> Path:
    """A table of the user's, with a column of SMILES between two others and an empty line."""
    lines = [f'{row},{text},"a, {row}"' for row, text in enumerate(smiles)]
    path.write_text("\n".join(["number,SMILES,remark", *lines[:2], "", *lines[2:]]) + "\n")
    return path


def run(asked, file, folder, **changes) -> dict:
    outputs = [folder / "said.parquet", folder / "said.csv"]
    return screen_file(
        file, asked, folder / "answers.sqlite", outputs, folder / "rejects.csv", folder / "summary.json", **changes
    )


@pytest.fixture
def count(monkeypatch) -> list[str]:
    """All SMILES that a panel is asked for, as they are asked."""
    shown = []
    ask = panel.Panel.ask

    def record(self, smiles, sources):
        shown.extend(smiles)
        return ask(self, smiles, sources)

    monkeypatch.setattr(panel.Panel, "ask", record)
    return shown


def test_every_row_comes_back_with_predictions_spread_interval_and_flags(asked, tmp_path):
    run(asked, write_smiles(tmp_path / "in.csv", SMILES), tmp_path)
    said = pd.read_parquet(tmp_path / "said.parquet")
    assert said["number"].tolist() == [str(row) for row in range(len(SMILES))]
    assert said["SMILES"].tolist() == SMILES
    assert said["remark"][2] == "a, 2"
    names = [f"{name}{end}" for name in ("ridge", "mlp") for end in ("", "_std", "_spread", "_low", "_high", "_flags")]
    assert list(said.columns) == ["number", "SMILES", "remark", *names, "note"]
    seeds = np.array([read_kept(folder).predict(SMILES).mean for folder in asked.folders[1]])
    np.testing.assert_allclose(said["mlp"], seeds.mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(said["mlp_spread"], seeds.std(axis=0, ddof=1), rtol=1e-6)
    judged = read_json(asked.uncertainty[1])["predictors"][-1]
    calibration = Calibration.from_json(judged["intervals"][judged["offered"]]["calibration"])
    ends = calibration.interval(*combine_seeds(seeds, None))
    np.testing.assert_allclose(said["mlp_low"], np.where(np.isfinite(ends[:, 0]), ends[:, 0], np.nan), rtol=1e-6)
    assert said["ridge"].isna().tolist() == [text in ("C1CC", "") for text in SMILES]
    assert "element" in said["ridge_flags"][2].split() and "similarity" in said["ridge_flags"][2].split()
    assert "value" in said["ridge_flags"][6].split()
    assert said["ridge_flags"].isna().tolist() == said["ridge"].isna().tolist()
    assert said["note"].fillna("").tolist()[:5] == ["", BROKEN, "", "", "no SMILES"]
    text = pd.read_csv(tmp_path / "said.csv", keep_default_na=False)
    assert text.columns.tolist() == list(said.columns) and len(text) == len(said)


def test_rows_without_a_prediction_are_listed_with_line_and_reason(asked, tmp_path):
    summary = run(asked, write_smiles(tmp_path / "in.csv", SMILES), tmp_path)
    rejects = list(csv.DictReader((tmp_path / "rejects.csv").open(newline="")))
    assert [tuple(row.values()) for row in rejects] == [("3", "C1CC", BROKEN), ("7", "", "no SMILES")]
    assert (summary["rows"], summary["noted"]) == (len(SMILES), 2)
    assert summary["reasons"] == {BROKEN: 1, "no SMILES": 1}


def test_each_molecule_is_asked_once_whatever_is_added_or_moved(asked, tmp_path, count, monkeypatch):
    monkeypatch.setattr(panel, "CHUNK", 4)
    file = write_smiles(tmp_path / "in.csv", SMILES)
    assert run(asked, file, tmp_path)["asked"] == len(set(SMILES)) == len(count)
    before = pd.read_parquet(tmp_path / "said.parquet").set_index("SMILES")
    count.clear()
    write_smiles(file, ["CCN", *SMILES[::-1], "CCCN"])
    run(asked, file, tmp_path)
    assert count == ["CCN", "CCCN"]
    after = pd.read_parquet(tmp_path / "said.parquet").set_index("SMILES")
    assert after.loc["CC(=O)OC", "mlp"] == before.loc["CC(=O)OC", "mlp"]
    count.clear()
    run(asked, file, tmp_path)
    assert count == []


def test_other_models_are_asked_anew_and_molecules_that_have_gone_are_not(asked, tmp_path, count):
    file = write_smiles(tmp_path / "in.csv", SMILES)
    ridge = Asked(*([parts[0]] for parts in (asked.models, asked.folders, asked.domains, asked.uncertainty)))
    run(ridge, file, tmp_path)
    assert "y_pred" in pq.read_schema(tmp_path / "said.parquet").names
    count.clear()
    write_smiles(file, SMILES[:3])
    run(asked, file, tmp_path)
    assert count == SMILES[:3]
    with sqlite3.connect(tmp_path / "answers.sqlite") as connection:
        sources = {name for (name,) in connection.execute("SELECT DISTINCT source FROM answers")}
    assert sources == set(asked.read_panel().sources)


class Killed(BaseException):
    """As good as SIGKILL: nobody expects it."""


@pytest.mark.parametrize("at", [1, 2])
def test_what_is_killed_goes_on_to_the_same_bytes(asked, tmp_path, monkeypatch, at):
    monkeypatch.setattr(panel, "CHUNK", 3)
    file = write_smiles(tmp_path / "in.csv", SMILES)
    for folder in ("alone", "killed"):
        (tmp_path / folder).mkdir()
    run(asked, file, tmp_path / "alone")
    ask, calls = panel.Panel.ask, []

    def die(self, smiles, sources):
        calls.append(smiles)
        if len(calls) == at + 1:
            raise Killed
        return ask(self, smiles, sources)

    monkeypatch.setattr(panel.Panel, "ask", die)
    with pytest.raises(Killed):
        run(asked, file, tmp_path / "killed")
    monkeypatch.setattr(panel.Panel, "ask", ask)
    assert not (tmp_path / "killed/said.parquet").exists()
    assert run(asked, file, tmp_path / "killed")["asked"] == len(set(SMILES)) - 3 * at
    for name in ("said.parquet", "said.csv", "rejects.csv", "summary.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()


def test_parquet_keeps_its_types_and_rows_are_counted(asked, tmp_path):
    columns = {"id": pa.array(range(3)), "structure": pa.array(["C", None, "CC"]), "tags": pa.array([["a"]] * 3)}
    pq.write_table(pa.table(columns), tmp_path / "in.parquet")
    run(asked, tmp_path / "in.parquet", tmp_path, smiles_column="structure")
    assert pq.read_table(tmp_path / "said.parquet").select(list(columns)).equals(pa.table(columns))
    assert (tmp_path / "rejects.csv").read_text() == "row,smiles,reason\n2,,no SMILES\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("smiles,mlp_flags\nC,1\n", "in.csv: its column 'mlp_flags' has the name of one"),
        ("smiles\n", "in.csv: no molecules"),
        ("structure\nC\n", "`smiles_column` of a screen"),
    ],
)
def test_files_that_cannot_be_screened_are_explained(asked, tmp_path, content, message):
    (tmp_path / "in.csv").write_text(content)
    with pytest.raises(ContractError, match=message):
        run(asked, tmp_path / "in.csv", tmp_path)
    assert not (tmp_path / "said.csv").exists()


def test_models_that_are_others_are_named_together_and_can_be_trained_again(asked, tmp_path):
    folders = [shutil.copytree(asked.folders[0][seed], tmp_path / f"seed{seed}") for seed in (0, 1)]
    for folder in folders:
        next(folder.glob("model*")).write_bytes(b"")
    with pytest.raises(ContractError, match=r"not the file that .* rm -f \S*seed0/kept\.json \S*seed1/kept\.json$"):
        panel.Panel(list(map(str, folders)), []).models  # noqa: B018
    write_json(folders[0] / "kept.json", read_json(Path(asked.folders[0][0], "kept.json")) | {"code": "another"})
    shutil.copy(next(Path(asked.folders[0][0]).glob("model*")), folders[0])
    with pytest.raises(ContractError, match="code another") as raised:
        panel.Panel([str(folders[0])], []).models  # noqa: B018
    assert "--other-code" not in str(raised.value)


def test_features_that_take_long_are_asked_for_fewer_molecules(asked, tmp_path):
    folder = shutil.copytree(asked.folders[0][0], tmp_path / "seed3")
    assert panel.Panel([str(folder)], []).chunk == panel.CHUNK
    write_json(folder / "kept.json", read_json(folder / "kept.json") | {"features": ["xtb_embedded"]})
    assert panel.Panel([str(folder)], []).chunk == 64


def test_a_molecule_without_flags_has_a_reason(asked, monkeypatch):
    compute = elements.compute

    def fail(smiles):
        if "CCN" in smiles:
            raise ValueError("no such atom")
        return compute(smiles)

    monkeypatch.setattr(elements, "compute", fail)
    structure = panel.score_structure(Domain.load(asked.domains[0]), NewMolecules(["C1CC", "CCO", "CCN"]))
    assert structure.reasons == {2: "elements: ValueError: no such atom"}
    assert np.isnan(structure.numbers).all(axis=1).tolist() == [True, False, True]
    ridge = asked.list_predictors()[0]
    said = dict.fromkeys(ridge.sources, Answers(np.array([[np.nan, np.nan], [1e9, np.nan], [1e9, np.nan]]), {}))
    table = tabulate([ridge], said | {ridge.domain_source: structure}, 3)
    assert [each is None for each in table.table[ridge.flags].to_pylist()] == [True, False, True]
    assert table.flags[ridge.column]["value"].tolist() == [False, True, False]
    assert table.table["note"].to_pylist() == [None, None, "no flags: elements: ValueError: no such atom"]


def test_a_file_is_checked_before_models_are_there(asked, tmp_path):
    models = asked.models
    file = write_smiles(tmp_path / "in.csv", SMILES)
    check_file(file, models, tmp_path / "file.json")
    assert read_json(tmp_path / "file.json")["rows"] == len(SMILES)
    for content, message in (
        ("smiles,ridge_low\nC,1\n", "its column 'ridge_low' has the name of one"),
        ("smiles,a\nC,1\nC\n", "line 3: 1 cells"),
    ):
        file.write_text(content)
        with pytest.raises(ContractError, match=message):
            check_file(file, models, tmp_path / "file.json")
    with pytest.raises(ContractError, match=r"none\.csv: not readable"):
        check_file(tmp_path / "none.csv", models, tmp_path / "file.json")


def test_a_process_that_asks_no_model_holds_none():
    code = "import sys, boomlib.screening.screen; print(*{'torch', 'sklearn', 'skops'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout == "\n"


def test_a_damaged_store_is_named(asked, tmp_path):
    (tmp_path / "answers.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(ContractError, match=r"answers\.sqlite: not readable or writable .* delete it"):
        run(asked, write_smiles(tmp_path / "in.csv", SMILES), tmp_path)


def test_a_full_disk_is_no_damage_and_a_file_that_changes_is_told(tmp_path):
    with pytest.raises(ContractError, match=r"disk is full\); see that its disk has room"):
        with open_store(tmp_path / "s.sqlite", ["a"]):
            raise sqlite3.OperationalError("database or disk is full")
    with open_store(tmp_path / "s.sqlite", ["a"]) as store:
        with pytest.raises(ContractError, match="has changed while it was screened; run again"):
            store.read(["C"])


def test_reasons_that_are_not_shown_are_counted():
    summary = Summary([])
    summary.reasons.update({f"reason {number}": 1 for number in range(SHOWN + 2)})
    reasons = summary.to_json([])["reasons"]
    assert (len(reasons), reasons[OTHER]) == (SHOWN + 1, 2)


def test_the_store_hands_out_the_same_chunks_whatever_is_written_meanwhile(tmp_path):
    with open_store(tmp_path / "s.sqlite", ["a", "b"]) as store:
        store.add_molecules(["C", "CC", "C", "CCC", "CCCC"])
        said = Answers(np.zeros((2, 1)), {})
        store.write([1, 2], {"a": said})
        chunks = []
        for chunk in store.list_left(2):
            store.write(chunk.ids, dict.fromkeys(chunk.sources, said))
            chunks.append((chunk.smiles, chunk.sources))
        assert chunks == [(["C", "CC"], ["b"]), (["CCC", "CCCC"], ["a", "b"])]
        assert store.count_left() == 0


def test_extremes_are_distinct_molecules_and_of_equals_the_first():
    values = np.array([*range(20), 19, np.nan, 19.0])
    smiles = [f"{'C' * row}O" for row in range(20)] + [f"O{'C' * 19}", "N", "NN"]  # that before N is spelled otherwise
    highest = Extremes(1)
    for first in (0, 12):
        part = slice(first, 12 if first == 0 else None)
        highest.add(values[part], smiles[part], first, lambda row, first=first: first + row)
    assert highest.list() == [19, 22, *range(18, 10, -1)]
    assert len(highest.list()) == SHOWN
