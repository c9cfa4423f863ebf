import csv

import numpy as np
import pandas as pd
import pytest

from boomlib import contracts
from boomlib.datasets import rows
from boomlib.datasets.prepare import prepare
from boomlib.datasets.rows import Rows, draw_sample, find_rejects, read_columns
from boomlib.files import DATASET_ENTRY, ContractError

TABLE = {
    "reader": "table",
    "smiles_column": "smiles",
    "properties": {"size": {"unit": "kcal/mol", "kind": "extensive"}, "mu": {"unit": "D", "kind": "intensive"}},
}
HEADER = "smiles,size,mu\n"


def prepared(tmp_path, source, dataset=TABLE):
    """Prepare a dataset; returns its molecules table and its rejects as (row, smiles, reason)."""
    sources = source if isinstance(source, list) else [source]
    prepare(
        dataset,
        sources,
        *(tmp_path / "out" / name for name in ("molecules.parquet", "rejects.csv", "geometry.parquet")),
    )
    with (tmp_path / "out/rejects.csv").open(newline="", encoding="utf-8") as stream:
        header, *rejects = list(csv.reader(stream))
    assert header == ["row", "smiles", "reason"]
    return contracts.read_molecules(tmp_path / "out/molecules.parquet"), [(int(r), s, why) for r, s, why in rejects]


def write(path, text: str, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    ("line", "smiles", "reason"),
    [
        (",1,2", "", "no SMILES"),
        ("   ,1,2", "", "no SMILES"),
        ("C1CC,1,2", "C1CC", "RDKit cannot parse the SMILES"),
        ("C(C)(C)(C)(C)C,1,2", "C(C)(C)(C)(C)C", "RDKit cannot parse the SMILES"),
        ("N,NaN,2", "N", "size is not a finite number: 'NaN'"),
        ("N,1,-inf", "N", "mu is not a finite number: '-inf'"),
        ("N,1e999,2", "N", "size is not a finite number: '1e999'"),
        ("N,n/a,2", "N", "size is not a finite number: 'n/a'"),
        ('N,"1,5",2', "N", "size is not a finite number: '1,5'"),
        ("N,,2", "N", "size is not a finite number: None"),
        ("O,3,4", "O", "repeats row 1"),
        ("=1+cmd(),1,2", "'=1+cmd()", "RDKit cannot parse the SMILES"),
        ("@SUM(A1),1,2", "'@SUM(A1)", "RDKit cannot parse the SMILES"),
        ("C\0C,1,2", "C\0C", "the SMILES has a control character"),
        ("C" * 2001 + ",1,2", "C" * 200 + " …", "the SMILES has 2,001 characters, more than 2,000"),
        ("N," + "1x" * 200 + ",2", "N", "size is not a finite number: '" + "1x" * 99 + "1 …"),
    ],
)
def test_a_bad_row_is_rejected_with_row_number_and_reason(tmp_path, line, smiles, reason):
    source = write(tmp_path / "x.csv", f"{HEADER}O,3,4\n{line}\nCC,5,6\n")
    molecules, rejects = prepared(tmp_path, source)
    assert rejects == [(2, smiles, reason)]
    assert molecules["smiles"].to_pylist() == ["O", "CC"]


def test_a_smiles_of_ten_megabytes_is_rejected_and_the_rest_kept(tmp_path):
    source = write(tmp_path / "x.csv", f"{HEADER}O,3,4\n{'C' * 10_000_000},1,2\nCC,5,6\n")
    molecules, rejects = prepared(tmp_path, source)
    assert rejects == [(2, "C" * 200 + " …", "the SMILES has 10,000,000 characters, more than 2,000")]
    assert molecules["smiles"].to_pylist() == ["O", "CC"]


@pytest.mark.parametrize(
    ("smiles", "heavy"),
    [("C" * 800, 800), ("O" + "C" * 12, 13), ("CCCCCCC.CCCCCC", 13), ("[2H]C" + "C" * 12, 13)],
    ids=["C800H1602", "one too many", "of all fragments", "deuterium is hydrogen"],
)
def test_a_molecule_that_is_too_large_is_rejected_for_all_models(tmp_path, smiles, heavy):
    source = write(tmp_path / "x.csv", f"{HEADER}O,3,4\n{smiles},1,2\n{'C' * 12},5,6\n[2H]{'C' * 12},7,8\n")
    molecules, rejects = prepared(tmp_path, source, TABLE | {"max_heavy_atoms": 12})
    reason = f"{heavy} atoms besides hydrogen, more than `max_heavy_atoms` (12)"
    assert [(text, why) for _, text, why in rejects] == [(rows.as_text(smiles), reason)]
    assert molecules["smiles"].to_pylist() == ["O", "C" * 12, f"[2H]{'C' * 12}"]


def test_all_rows_of_a_molecule_with_different_labels_are_rejected(tmp_path):
    source = write(tmp_path / "x.csv", f"{HEADER}OCC,1,2\nC,1,2\nCCO,1,2\nCC,1,2\nC(O)C,1,2.5\n")
    molecules, rejects = prepared(tmp_path, source)
    reason = "the same molecule has different labels in rows 1, 3, 5"
    assert rejects == [(1, "OCC", reason), (3, "CCO", reason), (5, "C(O)C", reason)]
    assert molecules["smiles"].to_pylist() == ["C", "CC"]


def test_labels_that_differ_only_in_spelling_are_a_repetition(tmp_path):
    source = write(tmp_path / "x.csv", f"{HEADER}C,1,20\nC,1.0,2e1\n")
    molecules, rejects = prepared(tmp_path, source)
    assert rejects == [(2, "C", "repeats row 1")]
    assert molecules["mu"].to_pylist() == [20.0]


def test_a_repetition_with_a_broken_label_does_not_take_the_good_row_with_it(tmp_path):
    source = write(tmp_path / "x.csv", f"{HEADER}C,nan,2\nC,1,2\n")
    molecules, rejects = prepared(tmp_path, source)
    assert [(row, why) for row, _, why in rejects] == [(1, "size is not a finite number: 'nan'")]
    assert molecules.num_rows == 1


def test_kept_rows_keep_order_and_every_bit_of_their_numbers(tmp_path):
    numbers = np.random.default_rng(0).normal(size=(6, 2)) * 10.0 ** np.arange(-9, 9, 3)[:, None]
    smiles = ["CCCC", "C", "CCC", "O", "CC", "N"]
    lines = [f"{s},{a!r},{b!r}" for s, (a, b) in zip(smiles, numbers.tolist(), strict=True)]
    lines.insert(2, "broken(,1,2")
    molecules, rejects = prepared(tmp_path, write(tmp_path / "x.csv", HEADER + "\n".join(lines) + "\n"))
    assert len(rejects) == 1
    assert molecules["smiles"].to_pylist() == smiles
    assert molecules["molecule_id"].to_pylist() == list(range(6))
    assert np.array_equal(molecules.select(["size", "mu"]).to_pandas().to_numpy(), numbers)
    assert molecules.schema.field("mu").metadata == {b"unit": b"D"}


def test_no_usable_row_names_the_first_reason(tmp_path):
    source = write(tmp_path / "x.csv", f"{HEADER}C1CC,1,2\nC,x,2\n")
    with pytest.raises(ContractError, match=r"no usable row .*\(row 1\): RDKit cannot parse the SMILES"):
        prepared(tmp_path, source)
    with pytest.raises(ContractError, match=r"no usable row .* there are no rows"):
        prepared(tmp_path, write(tmp_path / "x.csv", HEADER))


def rows_of(n: int) -> Rows:
    return Rows(np.arange(1, n + 1), ["C" * i for i in range(1, n + 1)], {"size": [float(i) for i in range(n)]})


def test_a_sample_is_seeded_in_source_order_and_keeps_rows_together():
    one, again, other = (draw_sample(rows_of(50), 20, seed) for seed in (3, 3, 4))
    assert one.row.tolist() == again.row.tolist() != other.row.tolist()
    assert len(set(one.row.tolist())) == 20
    assert one.row.tolist() == sorted(one.row.tolist())
    assert [len(s) for s in one.smiles] == one.row.tolist()
    assert [v + 1 for v in one.values["size"]] == one.row.tolist()


def test_a_sample_of_everything_is_everything_and_of_more_an_error():
    assert draw_sample(rows_of(5), 5, 0).row.tolist() == [1, 2, 3, 4, 5]
    with pytest.raises(ContractError, match=r"configuration\): sample\.size 6 exceeds the 5 rows of the source"):
        draw_sample(rows_of(5), 6, 0)


def test_rejects_of_a_sample_carry_the_row_of_the_source(tmp_path):
    lines = "".join("X,1,2\n" if i == 30 else f"{'C' * i},1,2\n" for i in range(1, 41))
    dataset = TABLE | {"sample": {"size": 39, "seed": 0}}
    molecules, rejects = prepared(tmp_path, write(tmp_path / "x.csv", HEADER + lines), dataset)
    assert molecules.num_rows == 38
    assert rejects == [(30, "X", "RDKit cannot parse the SMILES")]


def test_a_missing_column_lists_what_there_is_and_the_key_to_set(tmp_path):
    source = write(tmp_path / "x.csv", "SMILES,size,dipole\nC,1,2\n")
    with pytest.raises(ContractError) as error:
        prepared(tmp_path, source)
    for part in (str(source), "no column 'smiles'", "SMILES, size, dipole", "`smiles_column`", DATASET_ENTRY):
        assert part in str(error.value)
    with pytest.raises(ContractError, match=r"no column 'mu' \(it has: SMILES, size, dipole\); set .*`column`"):
        prepared(tmp_path, source, TABLE | {"smiles_column": "SMILES"})


def test_columns_are_renamed_by_the_registry(tmp_path):
    dataset = TABLE | {"smiles_column": "SMILES", "properties": {"mu": {"unit": "D", "column": "dipole"}}}
    molecules, _ = prepared(tmp_path, write(tmp_path / "x.csv", "dipole,name,SMILES\n2,a,C\n"), dataset)
    assert molecules.column_names == ["molecule_id", "smiles", "mu"]
    assert molecules["mu"].to_pylist() == [2.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("smiles,size\nC,1°\n", "not readable as CSV in UTF-8"),
        ("smiles,size\nC,1\nCC,2,3\n", "not readable as CSV in UTF-8: .*Expected 2 columns, got 3"),
        ("", "not readable as CSV in UTF-8: Empty CSV file"),
        pytest.param(
            "smiles,size,größe\nC,1,2\n",
            "not readable as CSV in UTF-8",
        ),
        pytest.param(
            "smiles,size,size\nC,1,2\n",
            "more than one column 'size'",
        ),
    ],
    ids=["a cell not in UTF-8", "a row too long", "empty", "a header not in UTF-8", "a column that occurs twice"],
)
def test_what_is_no_csv_in_utf8_is_named(tmp_path, text, message):
    source = write(tmp_path / "x.csv", text, "latin-1")
    with pytest.raises(ContractError, match=rf"x\.csv: {message}"):
        read_columns(source, ["smiles", "size"])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_a_csv_in_another_encoding_is_refused(tmp_path, encoding):
    source = write(tmp_path / "x.csv", f"{HEADER}C,1,2\n", encoding)
    with pytest.raises(ContractError, match=r"x\.csv: not readable as CSV in UTF-8"):
        prepared(tmp_path, source)


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(ContractError, match=r"x\.csv: not readable .*No such file"):
        read_columns(tmp_path / "x.csv", ["smiles"])


def test_two_properties_may_read_one_column(tmp_path):
    dataset = TABLE | {"properties": {name: {"unit": "1", "column": "size"} for name in ("a", "b")}}
    molecules, _ = prepared(tmp_path, write(tmp_path / "x.csv", f"{HEADER}C,1,2\n"), dataset)
    assert molecules["a"].to_pylist() == molecules["b"].to_pylist() == [1.0]


def test_byte_order_mark_windows_newlines_and_quoted_newlines_are_read(tmp_path):
    text = 'smiles,note,size,mu\r\nC,"two\r\nlines, one comma",1,2\r\n"CC",x,3,4\r\n'
    molecules, rejects = prepared(tmp_path, write(tmp_path / "x.csv", text, "utf-8-sig"))
    assert molecules["smiles"].to_pylist() == ["C", "CC"]
    assert molecules["mu"].to_pylist() == [2.0, 4.0]
    assert rejects == []


def test_quoted_newlines_are_read_where_a_large_file_is_cut_into_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "BLOCK", 1 << 20)
    note = '"' + "one line\n" * 1000 + '"'
    source = write(tmp_path / "x.csv", "smiles,note,size\n" + f"C,{note},1\n" * 400)
    assert read_columns(source, ["smiles", "size"]).to_pylist() == [{"smiles": "C", "size": "1"}] * 400


def test_spaces_around_a_smiles_are_no_part_of_it(tmp_path):
    molecules, _ = prepared(tmp_path, write(tmp_path / "x.csv", f"{HEADER} C ,1,2\n"))
    assert molecules["smiles"].to_pylist() == ["C"]


def test_a_name_behind_the_smiles_is_not_kept_in_it(tmp_path):
    molecules, rejects = prepared(tmp_path, write(tmp_path / "x.csv", f"{HEADER}CCO ethanol,1,2\nC,1,2\n"))
    assert "CCO ethanol" not in molecules["smiles"].to_pylist()
    assert molecules.num_rows + len(rejects) == 2


def test_csv_and_parquet_give_the_same_molecules_and_rejects(tmp_path):
    frame = pd.DataFrame(
        {
            "smiles": ["OCC", "C", None, "CCO", "N", "C1", "CC"],
            "size": [0.1, -2.5, 1.0, 0.1, np.nan, 1.0, 1e-300],
            "mu": [1, 2, 3, 1, 4, 5, 6],
        }
    )
    frame.to_csv(tmp_path / "x.csv", index=False)
    frame.to_parquet(tmp_path / "x.parquet", index=False)
    from_csv, csv_rejects = prepared(tmp_path, tmp_path / "x.csv")
    from_parquet, parquet_rejects = prepared(tmp_path, tmp_path / "x.parquet")
    assert from_csv.equals(from_parquet)
    assert from_csv["smiles"].to_pylist() == ["OCC", "C", "CC"]
    assert [row for row, *_ in csv_rejects] == [row for row, *_ in parquet_rejects] == [3, 4, 5, 6]
    assert csv_rejects[1] == parquet_rejects[1] == (4, "CCO", "repeats row 1")


def test_a_truncated_parquet_source_is_named(tmp_path):
    pd.DataFrame({"smiles": ["C"], "size": [1.0], "mu": [1.0]}).to_parquet(tmp_path / "x.parquet")
    (tmp_path / "x.parquet").write_bytes((tmp_path / "x.parquet").read_bytes()[:-9])
    with pytest.raises(ContractError, match=r"x\.parquet: not readable as Parquet, probably truncated"):
        prepared(tmp_path, tmp_path / "x.parquet")


CSD = {
    "reader": "csd10k",
    "properties": {"density": {"unit": "g/cm³"}, "hof": {"unit": "kcal/mol", "column": "hof_s"}},
}


def csd_sources(tmp_path, density: str, hof: str):
    return [write(tmp_path / "density.csv", density), write(tmp_path / "hof.csv", hof)]


def test_csd10k_joins_its_two_files_row_by_row(tmp_path):
    sources = csd_sources(tmp_path, "smiles,density\nC,0.4\nCC,0.5\n", "smiles,hof_s\nC,-17.8\nCC,-20.0\n")
    molecules, rejects = prepared(tmp_path, sources, CSD)
    assert molecules.select(["smiles", "density", "hof"]).to_pylist() == [
        {"smiles": "C", "density": 0.4, "hof": -17.8},
        {"smiles": "CC", "density": 0.5, "hof": -20.0},
    ]
    assert rejects == []


@pytest.mark.parametrize(
    ("hof", "message"),
    [
        ("smiles,hof_s\nC,1\nN,2\nCCC,3\n", r"hof\.csv: row 2 has another SMILES than .*density\.csv"),
        ("smiles,hof_s\nC,1\nCC,2\n", r"hof\.csv: 2 rows, but .*density\.csv has 3"),
        ("smiles,hof\nC,1\nCC,2\nCCC,3\n", r"hof\.csv: no column 'hof_s' \(it has: smiles, hof\); this is not the"),
        pytest.param(
            "smiles,hof_s\nC,1\n,2\nCCC,3\n",
            r"hof\.csv: row 2 has another SMILES",
        ),
    ],
    ids=["another molecule", "fewer rows", "another column", "no SMILES"],
)
def test_csd10k_files_that_disagree_are_refused_with_the_place(tmp_path, hof, message):
    sources = csd_sources(tmp_path, "smiles,density\nC,0.4\nCC,0.5\nCCC,0.6\n", hof)
    with pytest.raises(ContractError, match=message):
        prepared(tmp_path, sources, CSD)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_csd10k_takes_one_source_a_property(tmp_path, count):
    source = write(tmp_path / "density.csv", "smiles,density\nC,0.4\n")
    message = rf"configuration\): .* one source a property.* has {count} .* for 2 properties \(density, hof\); correct"
    with pytest.raises(ContractError, match=message):
        prepared(tmp_path, [source] * count, CSD)


def test_a_table_takes_one_file(tmp_path):
    source = write(tmp_path / "x.csv", f"{HEADER}C,1,2\n")
    with pytest.raises(
        ContractError, match=r"of the configuration\): reader 'table' takes one source, but the dataset has 2 \("
    ):
        prepared(tmp_path, [source, source])


@pytest.mark.parametrize("name", ["smiles", "molecule_id"])
def test_a_property_cannot_take_the_name_of_a_column_that_every_dataset_has(tmp_path, name):
    source = write(tmp_path / "x.csv", f"{HEADER}C,1,2\n")
    with pytest.raises(ContractError, match=rf"configuration\): properties\.{name}: .* already; choose another"):
        prepared(tmp_path, source, TABLE | {"properties": {name: {"unit": "1", "column": "size"}}})


def test_a_number_in_a_reason_is_written_plainly():
    rows = Rows(np.arange(1, 3), ["C", "CC"], {"mu": np.array([np.nan, 1.0])})
    assert find_rejects(rows) == {0: "mu is not a finite number: nan"}
