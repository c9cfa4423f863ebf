import collections
import functools
import importlib
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ROOT, write_feature, write_tables
from rdkit import Chem
from rdkit.Chem import Descriptors, MACCSkeys, rdFingerprintGenerator, rdMolDescriptors
from rdkit.Chem.Scaffolds import MurckoScaffold

from boomlib import contracts, declared, schemas
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
FEATURES = schemas.list_modules("features", "compute")


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


def chunks_of(size, feature, monkeypatch):
    """Have a feature computed in chunks of ``size`` molecules, also where it has a size of its own."""
    monkeypatch.setattr(compute, "CHUNK", size)
    monkeypatch.setattr(importlib.import_module(f"boomlib.features.{feature}"), "CHUNK", size, raising=False)


@pytest.mark.parametrize("feature", FEATURES)
def test_a_feature_table_is_the_same_to_the_byte_whatever_the_number_of_workers(
    tmp_path, molecules, monkeypatch, feature
):
    chunks_of(4, feature, monkeypatch)
    for workers in (1, 2):
        write_feature(feature, molecules, tmp_path / f"{workers}.parquet", workers)
    assert (tmp_path / "1.parquet").read_bytes() == (tmp_path / "2.parquet").read_bytes()
    assert pq.ParquetFile(tmp_path / "1.parquet").num_row_groups == 5


@pytest.mark.parametrize("feature", FEATURES)
def test_the_size_of_a_chunk_does_not_change_the_table(tmp_path, molecules, monkeypatch, feature):
    tables = write_tables(feature, molecules, tmp_path)
    read = [None if name == "geometry" else pq.read_table(path) for name, path in tables.items()]
    expected = pa.table(
        {
            "molecule_id": np.arange(len(SMILES)),
            **importlib.import_module(f"boomlib.features.{feature}").compute(SMILES, *read),
        }
    )
    for chunk in (1, 5, len(SMILES), 512):
        chunks_of(chunk, feature, monkeypatch)
        write_feature(feature, molecules, tmp_path / "out.parquet")
        found = pq.read_table(tmp_path / "out.parquet")
        assert found.schema == expected.schema
        # NaN differs from itself, so gaps are compared as gaps
        assert all(
            np.array_equal(a.to_numpy(), b.to_numpy(), equal_nan=True) if pa.types.is_floating(a.type) else a.equals(b)
            for a, b in zip(found.columns, expected.columns, strict=True)
        )


def test_the_features_are_found():
    assert {"descriptors", "conformers", "context", "scaffolds"} <= set(FEATURES)


@pytest.mark.parametrize("feature", FEATURES)
def test_a_feature_of_no_molecules_has_the_columns_and_types_of_one(feature):
    module = importlib.import_module(f"boomlib.features.{feature}")
    none, one = (pa.table(module.compute(smiles)) for smiles in ([], SMILES[:1]))
    assert none.schema == one.schema
    assert (none.num_rows, one.num_rows) == (0, 1)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("origin", "place"),
    [
        (None, r"C1"),
        (contracts.Origin("data/x.csv", "line", np.array([2, 3, 5, 9, 10])), r"data/x\.csv, line 9 \(C1\)"),
        (contracts.Origin("x.parquet", "row", np.arange(1, 6)), r"x\.parquet, row 4 \(C1\)"),
    ],
)
def test_a_molecule_that_fails_is_named_with_its_feature_and_nothing_written(
    tmp_path, monkeypatch, workers, origin, place
):
    contracts.write_molecules(tmp_path / "m.parquet", ["C", "CC", "N", "C1", "O"], {}, {}, origin)
    monkeypatch.setattr(compute, "CHUNK", 2)
    with pytest.raises(ContractError, match=rf"^{place}: boomlib\.features\.elements: "):
        compute.compute_feature("elements", tmp_path / "m.parquet", tmp_path / "out.parquet", workers)
    assert not (tmp_path / "out.parquet").exists()


@pytest.mark.parametrize("feature", FEATURES)
def test_parts_computed_apart_merge_to_the_same_bytes_also_where_some_have_no_molecules(
    tmp_path, molecules, monkeypatch, feature
):
    chunks_of(4, feature, monkeypatch)
    write_feature(feature, molecules, tmp_path / "whole.parquet")
    for parts in (2, 7):
        paths = [tmp_path / f"{part}.parquet" for part in range(parts)]
        for part, path in enumerate(paths):
            write_feature(feature, molecules, path, part=(part, parts))
        compute.merge_parts(paths, tmp_path / "merged.parquet")
        assert (tmp_path / "merged.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert [pq.read_metadata(path).num_rows for path in paths] == [0, 4, 4, 0, 4, 4, 1]
    assert {pq.read_schema(path) for path in paths} == {pq.read_schema(tmp_path / "whole.parquet")}


def test_a_feature_that_cannot_compute_no_molecules_is_named(tmp_path, molecules, monkeypatch):
    monkeypatch.setattr(maccs, "compute", lambda smiles: {"first": pa.array([len(smiles[0])])})
    with pytest.raises(ContractError, match="no molecules: IndexError"):
        compute.compute_feature("maccs", molecules, tmp_path / "out.parquet")


def test_a_molecule_that_takes_long_is_named(tmp_path, molecules, monkeypatch, caplog):
    clock = SimpleNamespace(now=0.0)

    def compute_slowly(smiles):
        columns = []
        for text in smiles:
            clock.now += 31 if text == "CC#N" else 29
            columns.append(len(text))
        return {"length": pa.array(columns, pa.int64())}

    monkeypatch.setattr(compute, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(maccs, "compute", compute_slowly)
    compute.compute_feature("maccs", molecules, tmp_path / "out.parquet")
    assert caplog.messages == ["CC#N: maccs took 31 s"]


@pytest.mark.parametrize("feature", FEATURES)
def test_every_feature_is_timed_molecule_by_molecule_also_in_workers(tmp_path, monkeypatch, caplog, feature):
    origin = contracts.Origin("x.csv", "line", np.arange(2, 5))
    contracts.write_molecules(tmp_path / "m.parquet", SMILES[:3], {}, {}, origin)
    chunks_of(2, feature, monkeypatch)
    monkeypatch.setattr(compute, "SLOW", 0.0)
    for workers in (1, 2):
        caplog.clear()
        write_feature(feature, tmp_path / "m.parquet", tmp_path / "out.parquet", workers)
        # also what a feature reads is timed
        named = [
            each
            for each in (message.partition(" took ")[0] for message in caplog.messages)
            if each.endswith(f": {feature}")
        ]
        assert named == [f"x.csv, line {2 + row} ({text}): {feature}" for row, text in enumerate(SMILES[:3])]


def test_a_feature_that_reads_geometries_needs_no_default_for_them(tmp_path, molecules, monkeypatch):
    given = []

    def compute_with(smiles, geometry):
        given.append(geometry)
        return {"length": pa.array([len(text) for text in smiles], pa.int64())}

    monkeypatch.setattr(maccs, "compute", compute_with)
    contracts.write_table(contracts.GEOMETRY.empty(), tmp_path / "geometry.parquet", contracts.GEOMETRY)
    compute.compute_feature(
        "maccs", molecules, tmp_path / "out.parquet", tables={"geometry": tmp_path / "geometry.parquet"}
    )
    assert given == [None, None], "of no molecules, and of all"
    assert pq.read_table(tmp_path / "out.parquet")["length"].to_pylist() == [len(smiles) for smiles in SMILES]


# a feature that needs a lock, as any library may, and a job of which a thread holds that lock
LOCKING = """
import threading
import pyarrow as pa

LOCK = threading.Lock()

def compute(smiles):
    # free again for the next chunk, which the same worker may get
    if smiles and not LOCK.acquire(timeout=5):
        raise RuntimeError("the lock is never free")
    if smiles:
        LOCK.release()
    return {"length": pa.array([len(text) for text in smiles], pa.int64())}
"""
HOLDS = """
import sys, threading
import locking
from boomlib.featurize import compute_feature
sys.modules["boomlib.features.locking"] = locking
locking.CHUNK = 10
held, done = threading.Event(), threading.Event()
def hold():
    with locking.LOCK:
        held.set()
        done.wait()
threading.Thread(target=hold).start()
held.wait()
try:
    compute_feature("locking", sys.argv[1], sys.argv[2], workers=2)
finally:
    done.set()
"""


def start(code: str, *arguments: object, path: Path = ROOT) -> subprocess.Popen:
    """Run ``code`` in a process of its own, which finds modules of the project and of ``path``."""
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(path)}, **pipe)


def test_workers_do_not_wait_for_a_lock_that_a_thread_of_the_job_holds(tmp_path, molecules):
    (tmp_path / "locking.py").write_text(LOCKING)
    job = start(HOLDS, molecules, tmp_path / "out.parquet", path=tmp_path)
    output, errors = job.communicate(timeout=60)
    assert job.returncode == 0, output + errors
    assert pq.read_table(tmp_path / "out.parquet")["length"].to_pylist() == [len(smiles) for smiles in SMILES]


FAILS = """
import sys
from boomlib import featurize
from boomlib.files import ContractError
featurize.CHUNK = 1
for _ in range(int(sys.argv[2])):
    try:
        featurize.compute_feature("elements", sys.argv[1], sys.argv[1] + ".out", workers=2)
    except ContractError as error:
        assert str(error).startswith("C1: boomlib.features.elements: "), error
    else:
        raise AssertionError("no error")
print("failed as it should")
"""


@pytest.mark.slow
def test_200_chunks_that_fail_in_a_row_two_jobs_at_a_time_end_in_bounded_time(tmp_path):
    molecules = [tmp_path / f"{job}.parquet" for job in range(2)]
    for path in molecules:
        contracts.write_molecules(path, ["C1"] * 8, {}, {})
    jobs = [start(FAILS, path, 13) for path in molecules]
    try:
        for job in jobs:
            output, errors = job.communicate(timeout=300)
            assert output.endswith("failed as it should\n"), output + errors
    finally:
        for job in jobs:
            job.kill()


def test_chunks_are_read_as_they_are_needed_and_results_wait_for_a_slow_writer(monkeypatch):
    monkeypatch.setattr(compute, "AHEAD", 3)
    read = []
    chunks = ((read.append(start), (start, ["C"]))[1] for start in range(40))
    work = functools.partial(compute.compute_chunk, elements.compute, settings={})
    for start, (table, _) in enumerate(compute.compute_in_order(work, chunks, 2)):
        assert table["molecule_id"].to_pylist() == [start]
        if start == 4:
            time.sleep(1)
        assert len(read) <= start + 6
    assert read == list(range(40))


def test_features_that_read_one_another_are_refused(monkeypatch):
    monkeypatch.setattr(declared, "list_tables", lambda name: {"maccs": ["graph"], "graph": ["maccs"]}.get(name, []))
    with pytest.raises(ContractError, match=r"(graph|maccs) reads (graph|maccs) .*; a feature may not need itself"):
        declared.order_features(["graph"])


def test_features_come_behind_those_that_they_read():
    assert declared.order_features(["xtb_embedded", "maccs"]) == ["embedded", "maccs", "xtb_embedded"]
    assert declared.order_features(["xtb"]) == ["conformers", "xtb"]


def test_an_argument_that_is_no_feature_and_no_key_is_named_before_anything_runs(monkeypatch):
    monkeypatch.setattr(declared, "list_arguments", lambda name: ["smiles", "xtbb"] if name == "maccs" else ["smiles"])
    with pytest.raises(ContractError, match=r"maccs\.py: compute: unknown .* 'xtbb'; did you mean 'xtb'"):
        declared.check_arguments()


def test_arguments_of_our_features_are_known():
    declared.check_arguments()
