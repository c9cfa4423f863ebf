import collections
import importlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rdkit import Chem
from rdkit.Chem import Descriptors, MACCSkeys, rdFingerprintGenerator, rdMolDescriptors
from rdkit.Chem.Scaffolds import MurckoScaffold

from boomlib import contracts
from boomlib import featurize as compute
from boomlib.features import descriptors, elements, maccs, morgan_counts, scaffolds
from boomlib.files import ContractError

SMILES = [
    "CCO",
    "C",
    "[He]",
    "[Na+].[Cl-]",
    "CC(=O)[O-].[Na+]",
    "C[N+](C)(C)C",
    "[O-][N+](=O)c1ccccc1",
    "[2H]C([2H])([2H])O",
    "[13CH3]c1ccccc1",
    "[H][H]",
    "O=C(c1ccccc1)N1CCOCC1",
    "OC(=O)[C@H](N)Cc1c[nH]c2ccccc12",
    "CCCCCCCCCCCCCC",
    "FC(F)(F)C(Cl)Br",
    "C1CC1C1CC1",
    "CC#N",
    "OP(=O)(O)OCS",
]
FEATURES = ["descriptors", "morgan_counts", "elements", "maccs", "scaffolds", "fragmentations", "context", "graph"]


@pytest.mark.parametrize("smiles", SMILES)
def test_descriptors_are_rdkits(smiles):
    found = {name: column[0].as_py() for name, column in descriptors.compute([smiles]).items()}
    mol = Chem.MolFromSmiles(smiles)
    assert list(found) == [name for name, _ in Descriptors.descList]
    for name, function in Descriptors.descList:
        try:
            value = function(mol)
        except ZeroDivisionError:  # RDKit's SPS of a molecule without heavy atoms
            value = np.nan
        assert found[name] == pytest.approx(value, rel=1e-12, abs=1e-12, nan_ok=True), name


def test_a_descriptor_that_rdkit_cannot_compute_is_nan():
    columns = descriptors.compute(["[Na+].[Cl-]", "CCO"])
    assert np.isnan(columns["BCUT2D_MWHI"][0].as_py())
    assert np.isfinite(columns["BCUT2D_MWHI"][1].as_py())
    assert {column.type for column in columns.values()} == {pa.float64()}


def test_molecular_weight_by_hand():
    assert descriptors.compute(["CCO"])["MolWt"][0].as_py() == pytest.approx(2 * 12.011 + 6 * 1.008 + 15.999)


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        ("CCO", {"C": 2, "H": 6, "O": 1}),
        ("C", {"C": 1, "H": 4}),
        ("c1ccccc1", {"C": 6, "H": 6}),
        ("CC(=O)[O-].[Na+]", {"C": 2, "H": 3, "O": 2, "Na": 1}),
        ("[2H]C([2H])([2H])O", {"C": 1, "H": 4, "O": 1}),
        ("[H][H]", {"H": 2}),
        ("[He]", {"He": 1}),
        ("FC(F)(F)C(Cl)Br", {"C": 2, "H": 1, "F": 3, "Cl": 1, "Br": 1}),
        ("[Og]", {"Og": 1}),
        ("*C", {"C": 1, "H": 3}),
    ],
)
def test_element_counts_by_hand(smiles, expected):
    columns = elements.compute([smiles])
    assert {name: column[0].as_py() for name, column in columns.items() if column[0].as_py()} == expected
    assert len(columns) == 118


@pytest.mark.parametrize("smiles", SMILES)
def test_element_counts_are_those_of_all_atoms_written_out(smiles):
    counted = collections.Counter(atom.GetSymbol() for atom in Chem.AddHs(Chem.MolFromSmiles(smiles)).GetAtoms())
    columns = elements.compute([smiles])
    assert {name: column[0].as_py() for name, column in columns.items() if column[0].as_py()} == counted


def environments(smiles):
    """Radius and count of each environment of each molecule, by identifier."""
    columns = morgan_counts.compute(smiles)
    return [
        dict(zip(found, zip(radius, count, strict=True), strict=True))
        for found, radius, count in zip(*(columns[name].to_pylist() for name in columns), strict=True)
    ]


def test_morgan_counts_folded_are_rdkits_folded_fingerprint():
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    for smiles, found in zip(SMILES, environments(SMILES), strict=True):
        folded = collections.Counter()
        for identifier, (_, count) in found.items():
            folded[identifier % 2048] += count
        expected = generator.GetCountFingerprint(Chem.MolFromSmiles(smiles)).GetNonzeroElements()
        assert dict(folded) == expected, smiles


@pytest.mark.parametrize("radius", [0, 1, 2])
def test_morgan_counts_up_to_a_radius_are_rdkits_of_that_radius(radius):
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=radius)
    for smiles, found in zip(SMILES, environments(SMILES), strict=True):
        within = {identifier: count for identifier, (at, count) in found.items() if at <= radius}
        expected = generator.GetSparseCountFingerprint(Chem.MolFromSmiles(smiles)).GetNonzeroElements()
        assert within == expected, smiles


def test_environments_of_radius_0_are_the_atoms():
    for smiles, found in zip(SMILES, environments(SMILES), strict=True):
        atoms = sum(count for at, count in found.values() if at == 0)
        assert atoms == Chem.MolFromSmiles(smiles).GetNumAtoms(), smiles
    plain = ["CCO", "O=C(c1ccccc1)N1CCOCC1", "CC(=O)[O-].[Na+]"]
    heavy = [sum(count for at, count in found.values() if at == 0) for found in environments(plain)]
    assert heavy == [3, 14, 5]


def test_morgan_counts_of_a_chain_by_hand():
    # butane: two CH3 and two CH2 at radius 0 and 1. An environment that covers the same bonds as an earlier one does
    # not count: at radius 2 an end atom's covers those of its neighbour at radius 1, and both inner atoms' cover all
    (found,) = environments(["CCCC"])
    by_radius = collections.defaultdict(list)
    for at, count in found.values():
        by_radius[at].append(count)
    assert {at: sorted(counts) for at, counts in by_radius.items()} == {0: [2, 2], 1: [2, 2], 2: [1]}


def test_morgan_columns_are_sorted_by_identifier_and_do_not_depend_on_neighbours():
    columns = morgan_counts.compute(SMILES)
    for row, smiles in enumerate(SMILES):
        found = columns["environment"][row].as_py()
        assert found == sorted(set(found))
        alone = morgan_counts.compute([smiles])
        assert all(alone[name][0] == columns[name][row] for name in columns)


def test_maccs_keys_are_rdkits():
    columns = maccs.compute(SMILES)
    assert list(columns) == [f"maccs_{key}" for key in range(1, 167)]
    for row, smiles in enumerate(SMILES):
        expected = list(MACCSkeys.GenMACCSKeys(Chem.MolFromSmiles(smiles)))[1:]
        assert [column[row].as_py() for column in columns.values()] == expected, smiles


def test_maccs_keys_of_known_meaning():
    columns = maccs.compute(["CCO", "c1ccccc1", "[Na+].[Cl-]"])
    assert columns["maccs_164"].to_pylist() == [1, 0, 0], "key 164 is oxygen"
    assert columns["maccs_162"].to_pylist() == [0, 1, 0], "key 162 is aromatic"
    assert columns["maccs_166"].to_pylist() == [0, 0, 1], "key 166 is fragments"


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        ("CCO", ""),
        ("Cc1ccccc1", "c1ccccc1"),
        ("O=C(c1ccccc1)N1CCOCC1", "O=C(c1ccccc1)N1CCOCC1"),
        ("OC(=O)[C@H](N)Cc1c[nH]c2ccccc12", "c1ccc2[nH]ccc2c1"),
        ("CC(c1ccccc1)C1CC1", "c1ccc(CC2CC2)cc1"),
        ("C[C@H]1CCC[C@@H]1c1ccccc1", "c1ccc(C2CCCC2)cc1"),
        ("Cc1ccccc1.Cl", "c1ccccc1"),
    ],
)
def test_scaffolds_of_known_molecules(smiles, expected):
    (found,) = scaffolds.compute([smiles])["scaffold"].to_pylist()
    assert found == (Chem.CanonSmiles(expected) if expected else "")


def test_scaffolds_are_rdkits():
    for smiles, found in zip(SMILES, scaffolds.compute(SMILES)["scaffold"].to_pylist(), strict=True):
        expected = Chem.MolToSmiles(MurckoScaffold.GetScaffoldForMol(Chem.MolFromSmiles(smiles)), isomericSmiles=False)
        assert found == expected, smiles
        assert bool(found) == (rdMolDescriptors.CalcNumRings(Chem.MolFromSmiles(smiles)) > 0)


@pytest.fixture
def molecules(tmp_path):
    path = tmp_path / "molecules.parquet"
    contracts.write_molecules(path, SMILES, {}, {})
    return path


@pytest.mark.parametrize("feature", FEATURES)
def test_a_feature_table_is_the_same_to_the_byte_whatever_the_number_of_workers(
    tmp_path, molecules, monkeypatch, feature
):
    monkeypatch.setattr(compute, "CHUNK", 4)
    for workers in (1, 2):
        compute.compute_feature(feature, molecules, tmp_path / f"{workers}.parquet", workers)
    assert (tmp_path / "1.parquet").read_bytes() == (tmp_path / "2.parquet").read_bytes()
    assert pq.ParquetFile(tmp_path / "1.parquet").num_row_groups == 5


@pytest.mark.parametrize("feature", FEATURES)
def test_the_size_of_a_chunk_does_not_change_the_table(tmp_path, molecules, monkeypatch, feature):
    expected = pa.table(
        {
            "molecule_id": np.arange(len(SMILES)),
            **importlib.import_module(f"boomlib.features.{feature}").compute(SMILES),
        }
    )
    for chunk in (1, 5, len(SMILES), 512):
        monkeypatch.setattr(compute, "CHUNK", chunk)
        compute.compute_feature(feature, molecules, tmp_path / "out.parquet")
        found = pq.read_table(tmp_path / "out.parquet")
        assert found.schema == expected.schema
        # NaN differs from itself, so gaps are compared as gaps
        assert all(
            np.array_equal(a.to_numpy(), b.to_numpy(), equal_nan=True) if pa.types.is_floating(a.type) else a.equals(b)
            for a, b in zip(found.columns, expected.columns, strict=True)
        )


@pytest.mark.parametrize("workers", [1, 2])
def test_a_molecule_that_fails_names_feature_and_molecules_and_writes_nothing(tmp_path, monkeypatch, workers):
    contracts.write_molecules(tmp_path / "m.parquet", ["C", "CC", "N", "C1", "O"], {}, {})
    monkeypatch.setattr(compute, "CHUNK", 2)
    with pytest.raises(ContractError, match=r"boomlib\.features\.elements: molecules 2 to 3: "):
        compute.compute_feature("elements", tmp_path / "m.parquet", tmp_path / "out.parquet", workers)
    assert not (tmp_path / "out.parquet").exists()


@pytest.mark.parametrize("parts", [2, 3, 40])
@pytest.mark.parametrize("feature", ["elements", "morgan_counts"])
def test_parts_computed_apart_merge_to_the_same_bytes(tmp_path, monkeypatch, feature, parts):
    monkeypatch.setattr(compute, "CHUNK", 4)
    contracts.write_molecules(tmp_path / "m.parquet", SMILES, {"p": np.zeros(len(SMILES))}, {"p": "1"})
    compute.compute_feature(feature, tmp_path / "m.parquet", tmp_path / "whole.parquet")
    paths = [tmp_path / f"{part}.parquet" for part in range(parts)]
    for part, path in enumerate(paths):
        compute.compute_feature(feature, tmp_path / "m.parquet", path, part=(part, parts))
    compute.merge_parts(paths, tmp_path / "merged.parquet")
    assert (tmp_path / "merged.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()
