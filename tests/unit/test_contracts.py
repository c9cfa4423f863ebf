import pickle
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from boomlib import contracts
from boomlib.files import ContractError, MoleculeError

FOLD = np.array(["train", "valid", "id", "ood", "ood", "train"])


def predictions(path, ids=(1, 2, 3, 4), fold=("valid", "id", "ood", "ood"), y=(1.0, 2.0, 3.0, 4.0)):
    contracts.write_predictions(path, np.array(ids), list(fold), np.array(y))
    return path


def test_predictions_round_trip_sorted(tmp_path):
    path = predictions(tmp_path / "p.parquet", ids=(4, 3, 2, 1), fold=("ood", "ood", "id", "valid"), y=(4, 3, 2, 1))
    table = contracts.read_predictions(path, FOLD)
    assert table["molecule_id"].to_pylist() == [1, 2, 3, 4]
    assert table["y_pred"].to_pylist() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ids": (1, 2, 3), "fold": ("valid", "id", "ood"), "y": (1, 2, 3)}, "1 missing molecules (molecule_id 4)"),
        ({"ids": (1, 2, 3, 3)}, "1 doubled molecules (molecule_id 3)"),
        ({"ids": (1, 2, 3, 9)}, "1 unknown molecules (molecule_id 9)"),
        ({"ids": (0, 2, 3, 4)}, "1 unknown molecules (molecule_id 0)"),
        ({"y": (1, 2, float("nan"), 4)}, "y_pred of 1 molecules is not a finite number (molecule_id 3)"),
        ({"y": (1, 2, 3, float("inf"))}, "y_pred of 1 molecules is not a finite number (molecule_id 4)"),
        ({"fold": ("valid", "ood", "ood", "ood")}, "molecule_id 2: in another fold than in the split"),
    ],
)
def test_broken_predictions_name_file_row_and_remedy(tmp_path, change, message):
    path = predictions(tmp_path / "p.parquet", **change)
    with pytest.raises(ContractError) as error:
        contracts.read_predictions(path, FOLD)
    assert str(path) in str(error.value)
    assert message in str(error.value)
    assert "delete the file and rerun" in str(error.value)


TABLE = pa.table({"molecule_id": range(6), "smiles": ["C", "CC", "CO", "N", "O", "F"]})
ORIGIN = contracts.Origin("data/x.csv", "line", np.array([2, 4, 5, 9, 10, 12]))


def test_broken_predictions_say_where_the_molecule_stands_in_a_users_file(tmp_path):
    path = predictions(tmp_path / "p.parquet", y=(1, 2, float("nan"), 4))
    for table, place in ((TABLE, "(N)"), (TABLE.append_column(*ORIGIN.as_column()), "(data/x.csv, line 9 (N))")):
        with pytest.raises(ContractError) as error:
            contracts.read_predictions(path, FOLD, table)
        assert f"y_pred of 1 molecules is not a finite number {place}" in str(error.value)


def test_molecules_are_located_by_file_line_and_smiles(tmp_path):
    table = TABLE.append_column(*ORIGIN.as_column())
    assert contracts.locate(table, ["CO", "F", "CO"]) == "data/x.csv, line 5 (CO), line 12 (F)"
    assert contracts.locate(table, table["smiles"].to_pylist()).endswith("line 10 (O) …")
    assert contracts.locate(table, ["[Og]"]) == "data/x.csv, [Og]"
    assert contracts.locate(TABLE, ["CO", "C" * 300]) == "CO, " + "C" * 200 + " …"
    contracts.write_molecules(tmp_path / "m", ["C"], {}, {}, contracts.Origin("x.parquet", "row", np.array([7])))
    read = contracts.read_molecules(tmp_path / "m")
    assert read.column_names == ["molecule_id", "smiles", "source row"]
    assert contracts.locate(read, ["C"]) == "x.parquet, row 7 (C)"


def test_an_error_about_molecules_says_where_they_come_from_and_passes_processes(tmp_path):
    contracts.write_table(TABLE.append_column(*ORIGIN.as_column()), tmp_path / "task")
    error = pickle.loads(pickle.dumps(MoleculeError("too strange; remove them", ["N", "O"])))
    with (
        pytest.raises(ContractError, match=r"^data/x\.csv, line 9 \(N\), line 10 \(O\): too strange; remove them$"),
        contracts.locating(tmp_path / "task"),
    ):
        raise error


def test_predictions_of_molecules_with_gaps_in_their_ids_are_checked_by_id(tmp_path):
    task = TABLE.append_column(*ORIGIN.as_column()).slice(0, 3).set_column(0, "molecule_id", pa.array([1, 4, 9]))
    fold = np.array(["train", "id", "ood"])
    path = tmp_path / "p.parquet"
    contracts.write_predictions(path, np.array([4, 9]), ["id", "ood"], np.array([1.0, 2.0]))
    assert contracts.read_predictions(path, fold, task)["y_pred"].to_pylist() == [1, 2]
    for ids, folds, problem in (
        ([4], ["id"], "1 missing molecules (data/x.csv, line 5 (CO))"),
        ([4, 2], ["id", "ood"], "1 unknown molecules (molecule_id 2)"),
        ([4, 9], ["ood", "ood"], "data/x.csv, line 4 (CC): in another fold"),
    ):
        contracts.write_predictions(path, np.array(ids), folds, np.arange(float(len(ids))))
        with pytest.raises(ContractError, match=re.escape(problem)):
            contracts.read_predictions(path, fold, task)


def test_truncated_parquet(tmp_path):
    path = predictions(tmp_path / "p.parquet")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ContractError, match=r"p\.parquet: not readable as Parquet, probably truncated .*delete it"):
        contracts.read_predictions(path, FOLD)


def test_missing_file(tmp_path):
    with pytest.raises(ContractError, match=r"x\.parquet: no such file; rerun the stage that makes it"):
        contracts.read_table(tmp_path / "x.parquet")


def test_missing_column_and_wrong_type(tmp_path):
    path = tmp_path / "m.parquet"
    contracts.write_table(pa.table({"molecule_id": [0, 1]}), path)
    with pytest.raises(ContractError, match="the molecules table lacks the column 'smiles'"):
        contracts.read_molecules(path)
    contracts.write_table(pa.table({"molecule_id": [0.0, 1.0], "smiles": ["C", "N"]}), path)
    with pytest.raises(ContractError, match="column 'molecule_id' of the molecules table is double, not int64"):
        contracts.read_molecules(path)


def test_molecules_carry_units_and_may_lack_a_label(tmp_path):
    path = tmp_path / "m.parquet"
    contracts.write_molecules(path, ["C", "N"], {"p": np.array([1.0, 2.0])}, {"p": "eV"})
    table = contracts.read_molecules(path)
    assert table.schema.field("p").metadata == {b"unit": b"eV"}
    with pytest.raises(ContractError, match="no property 'q'; it has p"):
        contracts.property_values(table, "q", path)
    with pytest.raises(ContractError, match="property 'p' has a value that is infinite"):
        contracts.write_molecules(path, ["C"], {"p": np.array([np.inf])}, {"p": "eV"})
    contracts.write_molecules(path, ["C", "N"], {"p": np.array([np.nan, 1.0])}, {"p": "eV"})
    table = contracts.read_molecules(path)
    assert table["p"].to_pylist() == [None, 1.0]
    np.testing.assert_array_equal(contracts.property_values(table, "p", path), [np.nan, 1.0])


def test_molecule_ids_must_count_up(tmp_path):
    path = tmp_path / "m.parquet"
    contracts.write_table(pa.table({"molecule_id": [0, 2], "smiles": ["C", "N"]}), path)
    with pytest.raises(ContractError, match="molecule_id is not 0…1 in order"):
        contracts.read_molecules(path)


def test_geometries_are_written_in_small_row_groups(tmp_path):
    columns = {"molecule_id": range(10_000), "atomic_numbers": [[]] * 10_000, "positions": [[]] * 10_000}
    table = pa.table(columns, pa.schema(list(contracts.GEOMETRY.columns.items())))
    contracts.write_table(table, tmp_path / "g.parquet", contracts.GEOMETRY)
    metadata = pq.ParquetFile(tmp_path / "g.parquet").metadata
    assert [metadata.row_group(group).num_rows for group in range(3)] == [4096, 4096, 1808]


def test_unknown_fold():
    with pytest.raises(ContractError, match="unknown fold 'test'; a fold is one of train, valid, id, ood"):
        contracts.fold_array(["train", "test"])
