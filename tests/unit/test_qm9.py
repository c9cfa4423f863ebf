"""QM9 from its two sources, made small by hand in their layouts."""

import io
import tarfile
import zipfile

import numpy as np
import pandas as pd
import pytest

from boomlib import contracts
from boomlib.datasets.prepare import prepare
from boomlib.datasets.qm9 import FIELDS, PARTS, heat_of_formation, read, read_archive, read_wheel
from boomlib.files import ContractError

QM9 = {"reader": "qm9", "properties": {name: {"unit": "?"} for name in ("mu", "hof", "cv")}}
MOLECULES = [
    # SMILES, elements, fields that matter, positions as the wheel writes them
    ("C", "CHHHH", {"enthalpy": "-40.475117", "mu": "0.", "alpha": "13.21", "cv": "6.469"}, -0.0126981359),
    ("N", "NHHH", {"enthalpy": "-56.522082", "mu": "1.6256", "alpha": "9.46", "cv": "6.316"}, 6.4e-06),
    ("FC#N", "FCN", {"enthalpy": "-192.6", "mu": "2.", "cv": "1.1e-05"}, -2.5e-10),
]


def field_texts(fields):
    return {name: fields.get(name, "0.25") for name in FIELDS}


def coordinates(elements, first):
    return [[first, 1.0858041578 + atom, 0.0080009958 * atom] for atom in range(len(elements))]


def write_wheel(path, molecules=MOLECULES, parts=PARTS, drop=()):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for part, (smiles, elements, fields, first) in zip(parts, molecules, strict=False):
            positions = str(coordinates(elements, first)).replace(" ", "")
            row = {"SMILES": smiles, "Elements": str(list(elements)).replace(" ", ""), "XYZ_Ang": positions}
            row |= {FIELDS[name]: text for name, text in field_texts(fields).items()}
            text = io.StringIO()
            pd.DataFrame([row]).drop(columns=list(drop)).to_csv(text, index=False)
            wheel.writestr(part, text.getvalue())
    return path


def member_text(index, smiles, elements, fields, first):
    def archive_style(number):
        mantissa, _, exponent = str(number).partition("e")
        return f"{mantissa}*^{int(exponent)}" if exponent else mantissa

    lines = [str(len(elements)), "\t".join([f"gdb {index}", *map(archive_style, field_texts(fields).values())]) + "\t"]
    for symbol, xyz in zip(elements, coordinates(elements, first), strict=True):
        lines.append("\t".join([symbol, *(f"{archive_style(value):>14}" for value in xyz), "-0.25"]))
    return "\n".join([*lines, "1341.307\t1562.6", f"{smiles}\t{smiles}-relaxed\t", "InChI=1S/x\tInChI=1S/x"]) + "\n"


def write_archive(path, molecules=MOLECULES, names="dsgdb9nsd_{:06d}.xyz", extra=()):
    with tarfile.open(path, "w:bz2") as archive:
        for index, molecule in enumerate(molecules, 1):
            data = (molecule if isinstance(molecule, str) else member_text(index, *molecule)).encode()
            info = tarfile.TarInfo(names.format(index))
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for info in extra:
            archive.addfile(info)
    return path


WRITE = {"q.whl": write_wheel, "q.xyz.tar.bz2": write_archive}


def prepared(tmp_path, source):
    paths = [
        tmp_path / "out" / name for name in ("molecules.parquet", "rejects.csv", "geometry.parquet", "doubles.csv")
    ]
    prepare(QM9, [source], *paths)
    return contracts.read_molecules(paths[0]), contracts.read_table(paths[2], contracts.GEOMETRY)


@pytest.mark.parametrize("name", WRITE)
def test_both_sources_give_molecules_properties_and_positions(tmp_path, name):
    molecules, geometry = prepared(tmp_path, WRITE[name](tmp_path / name))
    assert molecules.column_names == ["molecule_id", "smiles", "mu", "hof", "cv"]
    assert molecules["smiles"].to_pylist() == ["C", "N", "FC#N"]
    assert molecules["mu"].to_pylist() == [0.0, 1.6256, 2.0]
    assert molecules["cv"].to_pylist() == [6.469, 6.316, 1.1e-05]
    assert geometry["atomic_numbers"].to_pylist() == [[6, 1, 1, 1, 1], [7, 1, 1, 1], [9, 6, 7]]
    for (_, elements, _, first), positions in zip(MOLECULES, geometry["positions"].to_pylist(), strict=True):
        assert positions == np.ravel(coordinates(elements, first)).tolist()


def test_the_sources_agree_to_the_last_digit(tmp_path):
    wheel, archive = read_wheel(write_wheel(tmp_path / "a.whl")), read_archive(write_archive(tmp_path / "a.tar.bz2"))
    assert wheel.smiles == archive.smiles
    assert {name: list(values) for name, values in wheel.fields.items()} == {
        name: list(values) for name, values in archive.fields.items()
    }
    assert wheel.positions.tobytes() == archive.positions.tobytes()
    assert wheel.numbers.tolist() == archive.numbers.tolist()


@pytest.mark.parametrize("name", WRITE)
def test_heat_of_formation_of_methane_and_ammonia_by_hand(tmp_path, name):
    # H(CH4) - H(C) - 4 H(H) = -40.475117 + 37.844411 + 4 * 0.497912 = -0.639058 Ha = -401.0149 kcal/mol;
    # atoms: (716.68 + 4 * 217.998) / 4.184 = 379.7018 kcal/mol; experiment: -17.8 kcal/mol
    molecules, _ = prepared(tmp_path, WRITE[name](tmp_path / name))
    methane, ammonia, _ = molecules["hof"].to_pylist()
    assert methane == pytest.approx(-401.0149 + 379.7018, abs=1e-3)
    # NH3: -56.522082 + 54.581501 + 3 * 0.497912 = -0.446845 Ha = -280.3995; (472.68 + 3 * 217.998) / 4.184 = 269.2820
    assert ammonia == pytest.approx(-280.3995 + 269.2820, abs=1e-3)


def test_heat_of_formation_of_a_free_atom_is_the_experimental_one():
    fluorine = np.array([[0, 0, 0, 0, 1]])
    assert heat_of_formation(np.array([-99.716370]), fluorine) == pytest.approx([79.38 / 4.184])


def test_a_ch2_of_an_alkane_is_worth_what_thermochemistry_knows():
    # QM9's enthalpies (Ha) of propane to nonane; Benson's C-(C)2(H)2 group is -4.93 kcal/mol
    enthalpy = np.array(
        [-119.046983, -158.334226, -197.621376, -236.908501, -276.195616, -315.48275, -354.769842],
    )
    carbons = np.arange(3, 10)
    counts = np.column_stack([2 * carbons + 2, carbons, *[np.zeros(7, dtype=int)] * 3])
    assert np.diff(heat_of_formation(enthalpy, counts)).mean() == pytest.approx(-4.9, abs=0.5)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-30]), "not a zip file"),
        (lambda path: path.write_text("<html>"), "not a zip file"),
        (lambda path: write_wheel(path, parts=PARTS[:2]), "qm9_part3"),
        (lambda path: write_wheel(path, drop=["Elements"]), "Elements"),
        (lambda path: write_wheel(path, [("Cl", "ClH", {}, 0.0)] * 3), "an element other than H, C, N, O, F"),
    ],
    ids=["truncated", "no zip", "a part is missing", "a column is missing", "chlorine"],
)
def test_a_foreign_or_broken_wheel_is_named_with_the_remedy(tmp_path, damage, message):
    path = write_wheel(tmp_path / "q.whl")
    damage(path)
    with pytest.raises(ContractError) as error:
        prepared(tmp_path, path)
    for part in ("q.whl: not the wheel of qm9pack 1.0.3", message, "delete it and rerun"):
        assert part in str(error.value)


def link(name, kind):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "/etc/passwd"
    return info


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-40]), ""),
        (lambda path: path.write_text("<html>"), ""),
        (lambda path: write_archive(path, ["not an xyz\nfile"]), "member 'dsgdb9nsd_000001.xyz' is not an xyz file"),
        (lambda path: write_archive(path, [member_text(1, *MOLECULES[0]).replace("13.21", "x")]), "x"),
        (lambda path: write_archive(path, extra=[link("a.xyz", tarfile.SYMTYPE)]), "member 'a.xyz' is no plain file"),
        (lambda path: write_archive(path, extra=[link("a.xyz", tarfile.CHRTYPE)]), "member 'a.xyz' is no plain file"),
    ],
    ids=["truncated", "no archive", "another file", "no number", "a symlink", "a device"],
)
def test_a_foreign_or_broken_archive_is_named_with_the_remedy(tmp_path, damage, message):
    path = write_archive(tmp_path / "q.tar.bz2")
    damage(path)
    with pytest.raises(ContractError) as error:
        prepared(tmp_path, path)
    for part in ("q.tar.bz2: not the archive dsgdb9nsd.xyz.tar.bz2", message, "delete it and rerun"):
        assert part in str(error.value)


def test_no_path_of_a_member_is_trusted(tmp_path):
    (tmp_path / "deep/er").mkdir(parents=True)
    path = write_archive(tmp_path / "deep/er/q.tar.bz2", names="../../escaped_{}.xyz")
    assert read_archive(path).smiles == ["C", "N", "FC#N"]
    assert not list(tmp_path.rglob("escaped*"))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            {"properties": {"gap": {}, "dipole": {}}},
            r"properties\.dipole: QM9 has no property 'dipole'; it has .*mu.*hof",
        ),
        ({"properties": {"u": {"column": "U298"}}}, r"properties\.u: QM9 has no property 'U298'; it has .*energy"),
        ({"sources": ["a.whl", "b.whl"]}, r"reader 'qm9' takes one source, but the dataset has 2 \(a.whl, b.whl\)"),
        ({"sources": []}, r"reader 'qm9' takes one source, but the dataset has 0 \(none\); correct its `sources`"),
    ],
    ids=["an unknown property", "an unknown column", "two sources", "no source"],
)
def test_an_entry_that_qm9_does_not_answer_is_named(tmp_path, entry, message):
    dataset = QM9 | entry
    outputs = [tmp_path / name for name in ("molecules.parquet", "rejects.csv", "geometry.parquet", "doubles.csv")]
    with pytest.raises(ContractError, match=rf"`datasets:` of the configuration\): {message}"):
        prepare(dataset, dataset.get("sources", ["q.whl"]), *outputs)


def test_a_property_may_have_another_name_than_its_column(tmp_path):
    rows = read([write_wheel(tmp_path / "q.whl")], {"properties": {"dipole": {"column": "mu"}, "mu": {}}})
    assert list(rows.values) == ["dipole", "mu"]
    assert list(rows.values["dipole"]) == list(rows.values["mu"]) == [0.0, 1.6256, 2.0]


def test_a_dataset_without_positions_has_an_empty_geometry(tmp_path):
    (tmp_path / "t.csv").write_text("smiles,p\nC,1\nN,2\n")
    table = {"reader": "table", "smiles_column": "smiles", "properties": {"p": {"unit": "1", "kind": "intensive"}}}
    paths = [tmp_path / name for name in ("molecules.parquet", "rejects.csv", "geometry.parquet", "doubles.csv")]
    prepare(table, [tmp_path / "t.csv"], *paths)
    assert contracts.read_table(paths[2], contracts.GEOMETRY).num_rows == 0
