import bz2
import csv
import gzip
import io
import lzma
import re
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from boomlib import contracts
from boomlib.datasets.columns import read_columns
from boomlib.datasets.prepare import prepare
from boomlib.datasets.rows import PARTLY, Rows, check_rows, draw_sample
from boomlib.evaluation.metrics import METRICS
from boomlib.evaluation.score import score
from boomlib.files import DATASET_ENTRY, ContractError
from boomlib.registry import select_reader_settings
from boomlib.report.build import count_unused

TABLE = {
    "reader": "table",
    "smiles_column": "smiles",
    "properties": {"size": {"unit": "kcal/mol", "kind": "extensive"}, "mu": {"unit": "D", "kind": "intensive"}},
}
BEYOND = "size is {}, beyond ±1e+30, more than networks and metrics have room for"
BEYOND_ASCII = "the SMILES has '{}', which is no character of ASCII"
HEADER = "smiles,size,mu\n"


def read_doubles(tmp_path):
    """The doubles of the dataset that was prepared last."""
    return (tmp_path / "out/doubles.csv").read_text()


def prepared(tmp_path, source, dataset=TABLE):
    """Prepare a dataset; returns its molecules table and its rejects as (line or row, smiles, reason)."""
    sources = source if isinstance(source, list) else [source]
    prepare(
        dataset,
        sources,
        *(tmp_path / "out" / name for name in ("molecules.parquet", "rejects.csv", "geometry.parquet", "doubles.csv")),
    )
    with (tmp_path / "out/rejects.csv").open(newline="", encoding="utf-8") as stream:
        header, *rejects = list(csv.reader(stream))
    assert header in (["line", "smiles", "reason"], ["row", "smiles", "reason"])
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
        ("N,,-inf", "N", "mu is not a finite number: '-inf'"),
        ("N,1e999,", "N", "size is not a finite number: '1e999'"),
        ("N,n.d.,", "N", "size is not a finite number: 'n.d.'"),
        ("N,>5,", "N", "size is not a finite number: '>5'"),
        ('N,"1,500.5",', "N", "size is not a finite number: '1,500.5'"),
        ("N,,", "N", "no label (size, mu)"),
        ("N,NaN,n/a", "N", "no label (size, mu)"),
        ("N,,5x", "N", "mu is not a finite number: '5x'"),
        ("N,1e300,", "N", BEYOND.format("1e+300")),
        ("N,-1e200,", "N", BEYOND.format("-1e+200")),
        ("N,1e45,", "N", BEYOND.format("1e+45")),
        ("N,1.1e30,", "N", BEYOND.format("1.1e+30")),
        ("O,3,4", "O", "merged into line 2"),
        ("=1+cmd(),1,2", "'=1+cmd()", "RDKit cannot parse the SMILES"),
        ("@SUM(A1),1,2", "'@SUM(A1)", "RDKit cannot parse the SMILES"),
        ("C\0C,1,2", "C\0C", "the SMILES has a control character"),
        ("CCé,1,2", "CCé", BEYOND_ASCII.format("é")),
        ("°CC,1,2", "°CC", BEYOND_ASCII.format("°")),
        ("[Na+].[Cl−],1,2", "[Na+].[Cl−]", BEYOND_ASCII.format("−")),  # the sign of minus that Word writes
        ("CＣ,1,2", "CＣ", BEYOND_ASCII.format("Ｃ")),  # a wide one
        ("CC\u200b,1,2", "CC\u200b", BEYOND_ASCII.format(r"\u200b")),  # no width at all
        ("C" * 2001 + ",1,2", "C" * 200 + " …", "the SMILES has 2,001 characters, more than 2,000"),
        ("N," + "1x" * 200 + ",", "N", "size is not a finite number: '" + "1x" * 99 + "1 …"),
    ],
)
def test_a_bad_row_is_rejected_with_its_line_and_reason(tmp_path, line, smiles, reason):
    source = write(tmp_path / "x.csv", f"{HEADER}O,3,4\n{line}\nCC,5,6\n")
    molecules, rejects = prepared(tmp_path, source)
    assert rejects == [(3, smiles, reason)]
    assert molecules["smiles"].to_pylist() == ["O", "CC"]


@pytest.mark.parametrize("scale", [1e29, -1e29, 1e-29])
def test_every_metric_holds_the_largest_and_the_smallest_labels(tmp_path, scale):
    generator = np.random.default_rng(0)
    lines = [f"{'C' * i},{scale * y:.17g},2\n" for i, y in enumerate(generator.uniform(1, 9, 200), 1)]
    source = write(tmp_path / "x.csv", HEADER + "".join(lines))
    molecules, rejects = prepared(tmp_path, source)
    y = molecules["size"].to_numpy()
    assert (len(y), rejects) == (200, [])
    scores = score(y, np.repeat(["train", "valid", "id", "ood"], 50), -y[::-1], resamples=20)
    for fold in ("id", "ood"):
        for name, value in scores["folds"][fold]["metrics"].items():
            assert None not in (value.values() if METRICS[name].interval else [value["value"]])


@pytest.mark.parametrize("labels", [("1e-300", "2e-300"), ("0", "-1e-200"), ("9e-31", "1e-308")])
def test_labels_that_are_all_too_small_are_refused_with_the_property(tmp_path, labels):
    source = write(tmp_path / "x.csv", HEADER + "".join(f"{'C' * i},{y},2\n" for i, y in enumerate(labels, 1)))
    message = r"x\.csv: property 'size': all labels lie within ±\S+, too small for .*; give them in another unit"
    with pytest.raises(ContractError, match=message):
        prepared(tmp_path, source)


def test_a_smiles_of_ten_megabytes_is_rejected_and_the_rest_kept(tmp_path):
    source = write(tmp_path / "x.csv", f"{HEADER}O,3,4\n{'C' * 10_000_000},1,2\nCC,5,6\n")
    molecules, rejects = prepared(tmp_path, source)
    assert rejects == [(3, "C" * 200 + " …", "the SMILES has 10,000,000 characters, more than 2,000")]
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
    assert [(row, text[:9], why) for row, text, why in rejects] == [(3, smiles[:9], reason)]
    assert molecules["smiles"].to_pylist() == ["O", "C" * 12, f"[2H]{'C' * 12}"]


@pytest.mark.parametrize(
    "spellings",
    [
        ("OCC", "CCO", "C(O)C"),
        ("[Na+].[Cl-]", "[Cl-].[Na+]", "[Cl-:2].[Na+:1]"),
        # an inositol, of whose last two spellings RDKit's canonical one is the other
        (
            "[C@@H]1(O)[C@@H](O)[C@@H](O)C(O)[C@@H](O)[C@@H]1O",
            "OC1[C@H](O)[C@@H](O)[C@@H](O)[C@H](O)[C@@H]1O",
            "OC1[C@H](O)[C@H](O)[C@@H](O)[C@@H](O)[C@@H]1O",
        ),
    ],
    ids=["ethanol", "a salt", "an inositol"],
)
def test_all_rows_of_a_molecule_with_different_labels_are_rejected(tmp_path, spellings):
    one, two, three = spellings
    source = write(tmp_path / "x.csv", f"{HEADER}{one},1,\nC,1,2\n{two},1,\nCC,1,2\n{three},2,\n")
    molecules, rejects = prepared(tmp_path, source)
    reason = "the same molecule, but size differs in lines 2, 4, 6"
    assert rejects == [(2, one, reason), (4, two, reason), (6, three, reason)]
    assert molecules["smiles"].to_pylist() == ["C", "CC"]


@pytest.mark.parametrize("text", ["", " ", "NA", "n/a", "NaN", "-nan", "null", "None", "<NA>", "#N/A"])
def test_a_molecule_may_lack_some_labels(tmp_path, text):
    source = write(tmp_path / "x.csv", f"{HEADER}C,1,{text}\nCC,{text},2\nCCC,3,4\nO,{text},{text}\n")
    molecules, rejects = prepared(tmp_path, source)
    assert rejects == [(5, "O", "no label (size, mu)")]
    assert molecules.select(["smiles", "size", "mu"]).to_pylist() == [
        {"smiles": "C", "size": 1, "mu": None},
        {"smiles": "CC", "size": None, "mu": 2},
        {"smiles": "CCC", "size": 3, "mu": 4},
    ]


def test_rows_of_one_molecule_complete_each_other(tmp_path):
    text = "C,1,\nCC,5,6\n[CH4],,2\nO,1,\nC,1,\nO,,3\n[OH2],7,\n"
    molecules, rejects = prepared(tmp_path, write(tmp_path / "x.csv", HEADER + text))
    assert rejects == [
        (4, "[CH4]", "merged into line 2"),
        (5, "O", "size differs in lines 5, 8; the other labels are used"),
        (6, "C", "merged into line 2"),
        (7, "O", "merged into line 5"),
        (8, "[OH2]", "merged into line 5"),
    ]
    assert molecules.select(["smiles", "size", "mu"]).to_pylist() == [
        {"smiles": "C", "size": 1, "mu": 2},
        {"smiles": "CC", "size": 5, "mu": 6},
        {"smiles": "O", "size": None, "mu": 3},
    ]


def test_a_label_that_cannot_be_used_costs_its_row_no_other(tmp_path, caplog):
    text = "C,1,>300\nCC,n.d.,2\nCCC,1e99,x\nO,5,6\n[OH2],5,ca. 3\nN,1,2\nN,2,3\n"
    with caplog.at_level("INFO", "boomlib"):
        molecules, rejects = prepared(tmp_path, write(tmp_path / "x.csv", HEADER + text))
    differs = "the same molecule, but size differs in lines 7, 8; mu differs in lines 7, 8"
    assert rejects == [
        (2, "C", "mu is not a finite number: '>300'; the other labels are used"),
        (3, "CC", "size is not a finite number: 'n.d.'; the other labels are used"),
        (4, "CCC", f"{BEYOND.format('1e+99')}; mu is not a finite number: 'x'"),
        (6, "[OH2]", "merged into line 5; mu is not a finite number: 'ca. 3'"),
        (7, "N", differs),
        (8, "N", differs),
    ]
    assert molecules.select(["smiles", "size", "mu"]).to_pylist() == [
        {"smiles": "C", "size": 1, "mu": None},
        {"smiles": "CC", "size": None, "mu": 2},
        {"smiles": "O", "size": 5, "mu": 6},
    ]
    assert count_unused(tmp_path / "out/rejects.csv") == (3, 1, 2)
    (said,) = (record.getMessage() for record in caplog.records)
    assert "of 7 rows 3 are rejected, 1 merged with others, and 3 lack labels that cannot be used: see" in said


def test_a_property_with_a_name_like_a_reason_is_counted_as_what_it_is(tmp_path):
    entry = TABLE | {"properties": {"merged": {"unit": "1", "kind": "intensive", "column": "size"}}}
    prepared(tmp_path, write(tmp_path / "x.csv", f"{HEADER}C,1,\nCC,x,\nCCC,>5,\n[CH4],1,\n"), entry)
    assert count_unused(tmp_path / "out/rejects.csv") == (2, 1, 0)
    assert count_unused(tmp_path / "out/none.csv") is None


def test_atom_maps_are_no_part_of_a_molecule(tmp_path):
    text = (
        "CO,-48.0,\n[CH3:1][OH:2],-10.47,\n[CH3:1][C@H](O)[CH3:2],2,1\nCC(C)O,2,1\n[NH3:1],3,1\n[H:1]N([H])[H],3,1\n"
    )
    molecules, rejects = prepared(tmp_path, write(tmp_path / "x.csv", HEADER + text))
    reason = "the same molecule, but size differs in lines 2, 3"
    assert rejects == [
        (2, "CO", reason),
        (3, "[CH3:1][OH:2]", reason),
        (5, "CC(C)O", "merged into line 4"),
        (7, "[H:1]N([H])[H]", "merged into line 6"),
    ]
    assert molecules["smiles"].to_pylist() == ["CC(C)O", "N"]  # as all stages know them


def test_labels_that_differ_only_in_spelling_are_a_repetition(tmp_path):
    source = write(tmp_path / "x.csv", f"{HEADER}C,1,20\nC,1.0,2e1\n")
    molecules, rejects = prepared(tmp_path, source)
    assert rejects == [(3, "C", "merged into line 2")]
    assert molecules["mu"].to_pylist() == [20.0]


def test_a_repetition_with_a_broken_label_does_not_take_the_good_row_with_it(tmp_path):
    source = write(tmp_path / "x.csv", f"{HEADER}C,inf,2\nC,1,2\n")
    molecules, rejects = prepared(tmp_path, source)
    assert rejects == [
        (2, "C", "size is not a finite number: 'inf'; the other labels are used"),
        (3, "C", "merged into line 2"),
    ]
    assert molecules.select(["size", "mu"]).to_pylist() == [{"size": 1, "mu": 2}]


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
    source = write(tmp_path / "x.csv", f"{HEADER}C1CC,1,2\nC,x,\n")
    with pytest.raises(
        ContractError, match=r"x\.csv: no usable row .*\(line 2\): RDKit cannot parse the SMILES; mend the rows, or"
    ):
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


def test_rejects_of_a_sample_carry_the_line_of_the_source(tmp_path):
    lines = "".join("X,1,2\n" if i == 30 else f"{'C' * i},1,2\n" for i in range(1, 41))
    dataset = TABLE | {"sample": {"size": 39, "seed": 0}}
    molecules, rejects = prepared(tmp_path, write(tmp_path / "x.csv", HEADER + lines), dataset)
    assert molecules.num_rows == 38
    assert rejects == [(31, "X", "RDKit cannot parse the SMILES")]


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
    assert molecules.column_names == ["molecule_id", "smiles", "mu", "source line"]
    assert molecules["mu"].to_pylist() == [2.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("smiles,size\nC,1°\n", r", line 2: not UTF-8 \(byte 0xb0\); save the file as UTF-8"),
        ("smiles,size,größe\nC,1,2\n", r", line 1: not UTF-8 \(byte 0xf6\)"),
        ('smiles,size,x\nC,1,"two\rlines"\n\nN,1,°\n', r", line 5: not UTF-8"),
        (
            "smiles,size\nC,1\n\nCC,2,3\n",
            ", line 4: 3 cells, but the header has 2 names; .* quotation marks",
        ),
        ("smiles,size\nC,-48,0\n", r", line 2: 3 cells, .* separator ',', as a decimal comma may, .* set `separator`"),
        ("smiles;size\nC;1\nCC\n", r", line 3: 1 cells, but the header has 2 names"),
        ('smiles,size\nC,1\nCC,"2\nN,3\n', r", line 3: a quotation mark that is never closed.* put one at both ends"),
        ('smiles,size\nC,"1"2\n', r", line 2: a quotation mark .* with text behind it"),
        ("", ": the file is empty; bring it here anew"),
        ("\n\n", ": the file has no line of column names"),
        ("smiles,size,size\nC,1,2\n", ": more than one column 'size'"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line_and_the_remedy(tmp_path, text, message):
    source = write(tmp_path / "x.csv", text, "latin-1")
    with pytest.raises(ContractError, match=rf"x\.csv{message}"):
        read_columns(source, ["smiles", "size"])


GOOD = {"smiles": ["CO", "C,C", "N"], "size": ["-48.5", "1.5", "2"]}


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ('smiles,size\nCO,-48.5\n"C,C",1.5\nN,2\n', "utf-8"),
        ("smiles;size\nCO;-48.5\nC,C;1.5\nN;2\n", "utf-8"),
        ("smiles;size;\nCO;-48.5;\nC,C;1.5;\nN;2;\n", "utf-8"),
        ("note\tsmiles\tsize\n\tCO\t-48.5\na;b\tC,C\t1.5\n\tN\t2\n", "utf-8"),
        ("smiles|size\nCO|-48.5\nC,C|1.5\nN|2\n", "utf-8"),
        ("smiles size\nCO -48.5\nC,C 1.5\nN 2\n", "utf-8"),
        ('"smiles";"size"\n"CO";"-48.5"\n"C,C";"1.5"\n"N";"2"\n', "utf-8"),
        ('sep=,\nsmiles,size\nCO,-48.5\n"C,C",1.5\nN,2\n', "utf-8-sig"),
        ("sep=;\r\nsmiles;size\r\nCO;-48.5\r\nC,C;1.5\r\nN;2", "utf-8"),
        ("SEP=\t\rsmiles\tsize\rCO\t-48.5\rC,C\t1.5\rN\t2", "utf-8"),
        ("smiles ; size\nCO;-48.5\n;\n  \nC,C;1.5\nN;2\n;;;\n", "utf-8-sig"),
        ("smiles\tsize\nCO\t-48.5\nC,C\t1.5\nN\t2\n", "utf-16"),
        ("smiles;size\nCO;-48.5\nC,C;1.5\nN;2\n", "utf-32"),
    ],
)
def test_separators_encodings_and_quotes_that_are_plain_are_found(tmp_path, text, encoding):
    assert read_columns(write(tmp_path / "x.csv", text, encoding), ["smiles", "size"]).values == GOOD


@pytest.mark.parametrize("separator", [";", "tab", "\\t"])
def test_a_separator_that_is_set_counts(tmp_path, separator):
    mark = {";": ";"}.get(separator, "\t")
    source = write(tmp_path / "x.csv", f"sep=,\nsmiles{mark}size{mark}mu\nCC{mark}1{mark}2\n")
    molecules, _ = prepared(tmp_path, source, TABLE | {"separator": separator})
    assert molecules["mu"].to_pylist() == [2.0]


def test_columns_that_are_not_found_are_shown_as_they_are_separated(tmp_path):
    for text, message in (
        ("SMILES;size\nC;1\n", r"no column 'smiles' \(it has: SMILES, size\); if ';' does not .* set `separator`"),
        ("smiles:size\nC:1\n", r"no column 'smiles' \(it has: smiles:size\); if ',' does not .* set `separator`"),
        ("smiles,size;x|size;smiles\n", r"separated by ',' or ';'; set `separator` in the dataset's entry"),
    ):
        columns = ["smiles", "size"] if "x|" not in text else ["smiles"]
        with pytest.raises(ContractError, match=message):
            read_columns(write(tmp_path / "x.csv", text), columns)


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (("-48,0", "1,5"), [-48.0, 1.5]),
        (("1,500", "2,5e-1"), [1.5, 0.25]),
        ((",5", "2"), [0.5, 2.0]),
        (("1.5", "-2"), [1.5, -2.0]),
        (("1.500", "1e3"), [1.5, 1000.0]),
    ],
)
def test_a_decimal_comma_is_found_where_it_is_plain(tmp_path, cells, values):
    source = write(
        tmp_path / "x.csv", "smiles;size;mu\n" + "".join(f"{'C' * i};{c};0\n" for i, c in enumerate(cells, 1))
    )
    molecules, rejects = prepared(tmp_path, source)
    assert (molecules["size"].to_pylist(), rejects) == (values, [])


@pytest.mark.parametrize(
    ("cells", "seen"),
    [
        (("1,5", "2.5"), "line 2 has '1,5', line 3 has '2.5'"),
        (("3", "1,500"), "line 3 has '1,500', and each comma may be one of thousands"),
        (("1.234", "999,5"), "line 3 has '999,5', line 2 has '1.234'"),
    ],
)
def test_a_decimal_mark_that_is_not_plain_is_asked_for(tmp_path, cells, seen):
    source = write(
        tmp_path / "x.csv", "smiles;size;mu\n" + "".join(f"{'C' * i};{c};0\n" for i, c in enumerate(cells, 1))
    )
    with pytest.raises(ContractError) as error:
        prepared(tmp_path, source)
    assert seen in str(error.value)
    assert "set `decimal` to '.' or ','" in str(error.value)


def test_a_decimal_mark_that_is_set_counts_and_the_other_is_rejected_with_its_line(tmp_path):
    source = write(tmp_path / "x.csv", "smiles;size;mu\nC;1,5;2\nCC;2.5;2\nN;1.000,5;1\nO;7;1\n")
    molecules, rejects = prepared(tmp_path, source, TABLE | {"decimal": ","})
    assert molecules["size"].to_pylist() == [1.5, None, None, 7.0]
    assert [(line, why) for line, _, why in rejects] == [
        (3, f"size is not a finite number with a decimal comma: '2.5'{PARTLY}"),
        (4, f"size is not a finite number with a decimal comma: '1.000,5'{PARTLY}"),
    ]
    molecules, rejects = prepared(tmp_path, source, TABLE | {"decimal": "."})
    assert molecules["size"].to_pylist() == [None, 2.5, None, 7.0]
    assert rejects[0] == (2, "C", f"size is not a finite number: '1,5'{PARTLY}")


def test_a_decimal_comma_in_parquet_is_read_too(tmp_path):
    frame = pd.DataFrame({"smiles": ["C", "CC"], "size": ["1,5", "2,25"], "mu": [1, 2]})
    frame.to_parquet(tmp_path / "x.parquet")
    molecules, _ = prepared(tmp_path, tmp_path / "x.parquet")
    assert molecules["size"].to_pylist() == [1.5, 2.25]


def test_utf_16_without_a_mark_is_refused_with_the_remedy(tmp_path):
    for encoding in ("utf-16-le", "utf-16-be"):
        source = write(tmp_path / "x.csv", f"{HEADER}C,1,2\n", encoding)
        with pytest.raises(ContractError, match=r"x\.csv: not UTF-8; .* like UTF-16 without .*; save the file"):
            prepared(tmp_path, source)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("zeros", [2, 7, 4000])
def test_a_block_of_zero_bytes_is_refused_with_its_line(tmp_path, zeros, encoding):
    lines = "".join(f"{'C' * i},{i},2\n" for i in range(1, 50))
    source = write(tmp_path / "x.csv", f"{HEADER}{lines}{chr(0) * zeros},1,2\nN,1,2\n", encoding)
    with pytest.raises(ContractError, match=r"x\.csv, line 51: zero bytes in place of text, .* file here anew"):
        prepared(tmp_path, source)


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("above", ["# made by hand\n", "Table S1, enthalpies\n\nof 2024\n", "sep=|\n"])
def test_what_stands_above_the_names_of_the_columns_is_to_be_removed(tmp_path, above, mark):
    source = write(tmp_path / "x.csv", f"{above}{HEADER}C,1,2\n".replace(",", mark))
    line = above.count("\n") + 1
    with pytest.raises(
        ContractError, match=rf"no column 'smiles' .*; line {line} has all columns: remove what"
    ) as error:
        prepared(tmp_path, source)
    assert "smiles_column" not in str(error.value)


def test_columns_that_are_set_otherwise_are_not_looked_for_with_other_separators(tmp_path):
    source = write(tmp_path / "x.csv", f"# by hand\n{HEADER}C,1,2\n")
    with pytest.raises(ContractError, match=r"no column 'smiles' \(it has: # by hand\); if ';' does not .* set"):
        prepared(tmp_path, source, TABLE | {"separator": ";"})


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(ContractError, match=r"x\.csv: not readable \(No such file or directory\); correct"):
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


def test_cells_of_any_length_are_read(tmp_path):
    note = '"' + "one line\n" * 100_000 + '"'
    source = write(tmp_path / "x.csv", f"smiles,note,size\nC,{note},1\nCC,,2\n")
    found = read_columns(source, ["smiles", "size"])
    assert found.values == {"smiles": ["C", "CC"], "size": ["1", "2"]}
    assert found.numbers == [2, 100_003]


def test_the_line_of_a_molecule_is_the_editors(tmp_path):
    text = '\n"smiles",note,size,mu\n\nC,"two\nlines",1,2\n  \nC1,x,1,2\nCC,"a\r\nb\n",3,4\nN,,5,6\n'
    source = write(tmp_path / "x.csv", text)
    molecules, rejects = prepared(tmp_path, source)
    assert text.split("\n")[6].startswith("C1")
    assert rejects == [(7, "C1", "RDKit cannot parse the SMILES")]
    assert molecules["source line"].to_pylist() == [4, 8, 11]
    assert contracts.locate(molecules, ["CC"]) == f"{source}, line 8 (CC)"


def test_the_line_after_a_declared_separator_and_a_sample_is_the_editors(tmp_path):
    lines = "".join(f"{'C' * i};{i};2\n" for i in range(1, 21))
    source = write(tmp_path / "x.csv", f"sep=;\r\n{HEADER.replace(',', ';')}{lines}")
    molecules, _ = prepared(tmp_path, source, TABLE | {"sample": {"size": 5, "seed": 0}})
    assert molecules["source line"].to_pylist() == [len(text) + 2 for text in molecules["smiles"].to_pylist()]


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
            "mu": [1, 2, 3, 1, np.nan, 5, np.nan],
        }
    )
    frame.to_csv(tmp_path / "x.csv", index=False)
    frame.to_parquet(tmp_path / "x.parquet", index=False)
    from_csv, csv_rejects = prepared(tmp_path, tmp_path / "x.csv")
    from_parquet, parquet_rejects = prepared(tmp_path, tmp_path / "x.parquet")
    assert from_csv["source line"].to_pylist() == [2, 3, 8]
    assert from_parquet["source row"].to_pylist() == [1, 2, 7]
    assert from_csv.drop_columns("source line").equals(from_parquet.drop_columns("source row"))
    assert from_csv["smiles"].to_pylist() == ["OCC", "C", "CC"]
    assert [row for row, *_ in csv_rejects] == [4, 5, 6, 7]
    assert [row for row, *_ in parquet_rejects] == [3, 4, 5, 6]
    assert csv_rejects[1] == (5, "CCO", "merged into line 2")
    assert parquet_rejects[1] == (4, "CCO", "merged into row 1")


def test_a_truncated_parquet_source_is_named(tmp_path):
    pd.DataFrame({"smiles": ["C"], "size": [1.0], "mu": [1.0]}).to_parquet(tmp_path / "x.parquet")
    (tmp_path / "x.parquet").write_bytes((tmp_path / "x.parquet").read_bytes()[:-9])
    with pytest.raises(
        ContractError, match=r"x\.parquet: not readable as Parquet, probably truncated .*bring the"
    ) as error:
        prepared(tmp_path, tmp_path / "x.parquet")
    assert "delete" not in str(error.value)


def write_columns(path, **columns):
    """Write a Parquet file; returns its path."""
    pq.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.dictionary(pa.int8(), pa.binary())])
def test_text_of_parquet_that_is_stored_as_bytes_is_text(tmp_path, kind):
    smiles, size = pa.array([b"C", None, b"CCO"]), pa.array([b"1.5", b"2", b"x"])
    smiles = smiles.dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else smiles.cast(kind)
    source = write_columns(tmp_path / "x.parquet", smiles=smiles, size=size, mu=[1, 2, 3])
    molecules, rejects = prepared(tmp_path, source)
    assert (molecules["smiles"].to_pylist(), molecules["size"].to_pylist()) == (["C", "CCO"], [1.5, None])
    assert rejects == [(2, "", "no SMILES"), (3, "CCO", f"size is not a finite number: 'x'{PARTLY}")]


def test_a_column_of_parquet_whose_name_is_no_text_is_told(tmp_path):
    source = write_columns(tmp_path / "x.parquet", smiles=["C"], size=[1.0], mu=[1], qqqq=[1])
    source.write_bytes(source.read_bytes().replace(b"qqqq", b"q\xff\xffq"))
    with pytest.raises(ContractError, match=r"x\.parquet: the name of a column is no UTF-8 .*; write the file anew"):
        prepared(tmp_path, source)


NO_UTF8 = pa.array([b"C", b"\xff", b"N"])


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        (NO_UTF8, "invalid start byte"),
        (NO_UTF8.view(pa.string()), "invalid start byte"),
        (pa.array([0, 2**31 - 1, 0], pa.date32()), "days="),
        (pa.array([None, 0, 1], pa.timestamp("ns", tz="No/Where")), "zone"),
    ],
    ids=["bytes", "text", "date", "time zone"],
)
@pytest.mark.parametrize("name", ["smiles", "mu"])
def test_a_value_of_parquet_that_cannot_be_read_is_named_with_its_row(tmp_path, name, column, reason):
    columns = {"smiles": ["C", "CC", "N"], "size": [1.0, 2.0, 3.0], "mu": [1, 2, 3]} | {name: column}
    source = write_columns(tmp_path / "x.parquet", **columns)
    message = (
        rf"x\.parquet, row 2: column '{name}' has a value that cannot be read \(.*{reason}.*; write the column anew"
    )
    with pytest.raises(ContractError, match=message):
        prepared(tmp_path, source)


def packed_table(kind: str) -> bytes:
    """A table in one of the formats that people have."""
    frame, stream = pd.DataFrame({"smiles": ["C"], "size": [1.0], "mu": [1.0]}), io.BytesIO()
    text = frame.to_csv(index=False).encode()
    if kind == "parquet":
        frame.to_parquet(stream)
    elif kind in ("zip", "xlsx", "ods"):
        member = {"zip": "x.csv", "xlsx": "xl/workbook.xml", "ods": "content.xml"}[kind]
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr(member, text)
    else:
        return {
            "csv": text,
            "gz": gzip.compress(text),
            "bz2": bz2.compress(text),
            "xz": lzma.compress(text),
            "html": b"<!DOCTYPE html><html>404</html>",
            "lfs": b"version https://git-lfs.github.com/spec/v1\n",
            "xls": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        }[kind]
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("x.parquet", "csv", "text, such as CSV, which should be named x.csv; rename it, here and in the entry"),
        ("x.PQ", "csv", "text, such as CSV, which should be named x.csv; rename it"),
        ("x.csv.gz", "csv", "text, such as CSV, which should be named x.csv; rename it"),
        ("x.csv", "parquet", "Parquet, which should be named x.parquet; rename it"),
        ("x.CSV", "parquet", "Parquet, which should be named x.parquet; rename it"),
        ("x.dat", "parquet", "Parquet, which should be named x.dat.parquet; rename it"),
        ("x.csv", "gz", "packed by gzip, which should be named x.csv.gz; rename it, .* or unpack it"),
        ("x.parquet", "bz2", "packed by bz2, which should be named x.parquet.bz2; rename it, .* or unpack it"),
        ("x.csv.bz2", "gz", "packed by gzip, which should be named x.csv.gz; rename it, .* or unpack it"),
        ("x.csv", "xz", "packed by xz, which should be named x.csv.xz; unpack it"),
        ("x.csv", "zip", "a zip archive, which should be named x.csv.zip; unpack it"),
        ("x.zip", "zip", "a zip archive; unpack it"),
        ("x.csv", "xlsx", "an Excel sheet, which should be named x.xlsx; save its sheet as CSV in UTF-8"),
        ("x.XLSX", "xlsx", "an Excel sheet; save its sheet as CSV in UTF-8"),
        ("x.parquet", "ods", "an OpenDocument sheet, which should be named x.ods; save its sheet as CSV"),
        ("x.csv", "xls", "an Excel sheet, which should be named x.xls; save its sheet as CSV"),
        ("x.csv", "html", r"a web page \(HTML\), .*; download the file itself"),
        ("x.parquet", "lfs", ".*a pointer of Git LFS, without the data"),
    ],
)
def test_a_file_of_another_format_than_its_name_says_is_told_what_it_is(tmp_path, name, kind, message):
    source = tmp_path / name
    source.write_bytes(packed_table(kind))
    with pytest.raises(ContractError, match=rf"{re.escape(str(source))}: its bytes are {message}") as error:
        prepared(tmp_path, source)
    assert "delete" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("x.CSV", "csv"),
        ("x.txt", "csv"),
        ("x", "csv"),
        ("x.PARQUET", "parquet"),
        ("x.Pq", "parquet"),
        ("x.csv.GZ", "gz"),
    ],
)
def test_endings_are_read_in_capitals_too(tmp_path, name, kind):
    (tmp_path / name).write_bytes(packed_table(kind))
    assert prepared(tmp_path, tmp_path / name)[0]["smiles"].to_pylist() == ["C"]


def test_a_packed_file_that_is_damaged_is_not_to_be_deleted(tmp_path):
    (tmp_path / "x.csv.gz").write_bytes(packed_table("gz")[:-9])
    with pytest.raises(ContractError, match=r"x\.csv\.gz: damaged gzip .*; bring the file here anew"):
        prepared(tmp_path, tmp_path / "x.csv.gz")


UNPACK = "unpack it, and name what is in it"


@pytest.mark.parametrize(
    ("kind", "what", "remedy"),
    [
        ("gz", "packed by gzip", UNPACK),
        ("parquet", "Parquet", UNPACK),
        ("xlsx", "an Excel sheet", "save its sheet as CSV"),
        ("html", r"a web page \(HTML\)", "download the file itself"),
    ],
)
def test_what_is_packed_and_no_text_is_told(tmp_path, kind, what, remedy):
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(packed_table(kind)))
    with pytest.raises(ContractError, match=rf"x\.csv\.gz: {what}.* inside gzip; {remedy}"):
        prepared(tmp_path, tmp_path / "x.csv.gz")


CSD = {
    "reader": "csd10k",
    "properties": {"density": {"unit": "g/cm³"}, "hof": {"unit": "kcal/mol", "column": "hof_s"}},
}


def csd_sources(tmp_path, density: str, hof: str):
    return [write(tmp_path / "density.csv", density), write(tmp_path / "hof.csv", hof)]


def test_csd10k_joins_its_two_files_row_by_row(tmp_path):
    sources = csd_sources(tmp_path, "smiles,density\nC,0.4\nCC,0.5\n", "smiles,hof_s\nC,-17.8\nCC,-20.0\n")
    molecules, rejects = prepared(tmp_path, sources, CSD)
    assert molecules.column_names == ["molecule_id", "smiles", "density", "hof"]  # of BOOM's, no more
    assert molecules.select(["smiles", "density", "hof"]).to_pylist() == [
        {"smiles": "C", "density": 0.4, "hof": -17.8},
        {"smiles": "CC", "density": 0.5, "hof": -20.0},
    ]
    assert rejects == []
    assert read_doubles(tmp_path) == "molecule_id,same_as\n"


def test_csd10k_goes_by_the_text_and_its_doubles_are_listed(tmp_path):
    texts = ["OC", "C", "CO", "CC(O)C", "C[13CH3]", "CC(C)O", "[CH3:1]O"]
    lines = "".join(f"{text},{i}\n" for i, text in enumerate(texts))
    sources = csd_sources(tmp_path, f"smiles,density\n{lines}", f"smiles,hof_s\n{lines}")
    molecules, rejects = prepared(tmp_path, sources, CSD)
    assert molecules["smiles"].to_pylist() == texts
    assert rejects == []
    assert read_doubles(tmp_path) == "molecule_id,same_as\n2,0\n5,3\n6,0\n"


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
    rows = Rows(np.arange(1, 3), ["C", "CC"], {"mu": np.array([np.inf, 1.0])})
    assert check_rows(rows).rejected == {0: "mu is not a finite number: inf"}


@pytest.mark.parametrize("select", [dict, select_reader_settings], ids=["the entry", "what the rule hands on of it"])
def test_a_density_is_more_than_zero(tmp_path, select):
    density = {"unit": "g/cm³", "kind": "intensive", "observable": "mass_density"}
    dataset = TABLE | {"properties": {"rho": density, "mu": {"unit": "D", "kind": "intensive"}}}
    source = write(tmp_path / "x.csv", "smiles,rho,mu\nC,1.5,0\nCC,0,-1\nCCC,-1.2,\nCCCC,1e-3,1\n")
    molecules, rejects = prepared(tmp_path, source, select(dataset))
    assert molecules["rho"].to_pylist() == [1.5, None, 1e-3]
    assert molecules["mu"].to_pylist() == [0, -1, 1]
    assert rejects == [
        (3, "CC", "rho is 0, and a density is more than 0; the other labels are used"),
        (4, "CCC", "rho is -1.2, and a density is more than 0"),
    ]
