import functools
import hashlib
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rdkit import Chem
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers

from boomlib import contracts, registry, schemas
from boomlib.features import conformers
from boomlib.features.conformers import ConformerError, embed, match_geometry
from boomlib.featurize import compute_feature, merge_parts
from boomlib.files import ContractError
from boomlib.harness.job import read_task

CHARGES = {"C[N+](C)(C)C": 1, "CC(=O)[O-]": -1}
SMILES = [
    "C",
    "CCO",
    "[H][H]",
    "[He]",
    "O",
    "[2H]C([2H])([2H])O",
    "CC(C)(C)C",
    "C#CC#C",
    "FC(F)(F)C(F)(F)F",
    "c1ccccc1",
    "Cc1c([N+](=O)[O-])cc([N+](=O)[O-])cc1[N+](=O)[O-]",
    "[NH3+]CC(=O)[O-]",
    "C12C3C4C1C5C2C3C45",
    "C1C2CC1C2",
    "C1C2CC3CC1CC(C2)C3",
    "CC1OC2C3C4OC13C24",
    "OC(=O)[C@H](N)Cc1c[nH]c2ccccc12",
    "O.CCO",
    *CHARGES,
]
# symmetric without stereochemistry, so that half of the matches contradict it
STEREO = [
    "C[C@H](O)CC[C@@H](C)O",
    "C/C=C\\CC/C=C/C",
    "O[C@H]1CC[C@@H](O)CC1",
    "C[C@@H](F)[C@H](C)F",
    "F/C(Cl)=C(F)/Cl",
]


@functools.cache
def embedded(smiles):
    """Molecule, elements, positions and bonds (bool [n, n]) in the order of the SMILES."""
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    numbers = np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()], dtype=np.uint8)
    return mol, numbers, embed(smiles)[0], Chem.GetAdjacencyMatrix(mol).astype(bool)


def shuffled(smiles, seed):
    """Elements, positions and bonds in a random order."""
    _, numbers, positions, bonded = embedded(smiles)
    order = np.random.default_rng(seed).permutation(len(numbers))
    return numbers[order], positions[order], bonded[np.ix_(order, order)]


# -- matching --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("smiles", SMILES + STEREO)
def test_a_shuffled_geometry_gets_its_atoms_back(smiles):
    _, expected, _, bonded = embedded(smiles)
    for seed in range(10):
        numbers, positions, source_bonded = shuffled(smiles, seed)
        order = match_geometry(smiles, numbers, positions, charge=CHARGES.get(smiles, 0))
        assert sorted(order) == list(range(len(numbers)))
        assert np.array_equal(numbers[order], expected)
        assert np.array_equal(source_bonded[np.ix_(order, order)], bonded)


def test_heavy_atoms_in_the_smiles_order_need_no_isomorphism(monkeypatch):
    monkeypatch.delattr(conformers, "labelled_graph")
    for smiles in ("CCO", "c1ccccc1", "C12C3C4C1C5C2C3C45"):
        mol, numbers, positions, bonded = embedded(smiles)
        heavy, hydrogens = np.flatnonzero(numbers > 1), np.flatnonzero(numbers == 1)
        source = np.concatenate([hydrogens[::2], heavy, hydrogens[1::2][::-1]])
        order = match_geometry(smiles, numbers[source], positions[source])
        assert np.array_equal(source[order][: len(heavy)], heavy)
        assert np.array_equal(bonded[np.ix_(source[order], source[order])], bonded), mol


@pytest.mark.parametrize("smiles", STEREO)
def test_the_match_agrees_with_the_stereochemistry_of_the_smiles(smiles):
    for seed in range(10):
        numbers, positions, _ = shuffled(smiles, seed)
        order = match_geometry(smiles, numbers, positions)
        assert canonical_from_positions(smiles, positions[order]) == Chem.CanonSmiles(smiles)


def canonical_from_positions(smiles, positions):
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    mol.AddConformer(Chem.Conformer(mol.GetNumAtoms()))
    mol.GetConformer().SetPositions(positions)
    Chem.AssignStereochemistryFrom3D(mol)
    return Chem.CanonSmiles(Chem.MolToSmiles(Chem.RemoveHs(mol)))


def test_a_geometry_that_contradicts_the_stereochemistry_is_still_matched():
    smiles, mirrored = "C[C@H](N)O", "C[C@@H](N)O"
    numbers, positions, source_bonded = shuffled(mirrored, seed=0)
    order = match_geometry(smiles, numbers, positions)
    assert np.array_equal(source_bonded[np.ix_(order, order)], embedded(smiles)[3])


@pytest.mark.parametrize(
    ("smiles", "geometry", "reason"),
    [
        ("CCO", "CCN", "elements differ: C2H6O in the SMILES, C2H7N in the geometry"),
        ("CCO", "CCCO", "elements differ"),
        ("CC=O", "CCO", "elements differ: C2H4O in the SMILES, C2H6O in the geometry"),
        ("C[N+](C)(C)C", "C[N+](C)(C)C", "charge differs: 1 in the SMILES, 0 in the geometry"),
        ("CCCC", "CC(C)C", "connectivity differs"),
        ("CCO", "COC", "connectivity differs"),
        ("NCC(=O)O", "[NH3+]CC(=O)[O-]", "connectivity differs"),
        ("CC1CC1CO", "CC1(CO)CC1", "connectivity differs"),
        ("C1CC1", "C=CC", "fewer bonds than the SMILES"),
        (
            "C=CC",
            "C1CC1",
            r"more bonds than the SMILES; the next pair is [CH]–C 1\.\d\d Å \(atoms \d and \d of",
        ),
    ],
)
def test_what_is_another_molecule_is_refused_with_the_reason(smiles, geometry, reason):
    numbers, positions, _ = shuffled(geometry, seed=0)
    with pytest.raises(ConformerError, match=reason):
        match_geometry(smiles, numbers, positions)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda x: x * np.nan, "not a finite number"),
        (lambda x: x * 1.5, "fewer bonds than the SMILES"),
        (lambda x: x / 1.889726, "too close for a bond"),
        (lambda x: np.where(np.arange(len(x))[:, None] == 4, x + 3, x), "fewer bonds than the SMILES"),
    ],
    ids=["nan", "stretched", "scaled by Å per bohr", "an atom moved"],
)
def test_a_broken_geometry_is_refused_with_the_reason(change, reason):
    _, numbers, positions, _ = embedded("CCO")
    with pytest.raises(ConformerError, match=reason):
        match_geometry("CCO", numbers, change(positions))


def test_a_smiles_that_cannot_be_read_is_refused():
    with pytest.raises(ConformerError, match="cannot read"):
        match_geometry("C1", np.array([6]), np.zeros((1, 3)))
    with pytest.raises(ConformerError, match="no atoms"):
        embed("")


# -- embedding -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("smiles", SMILES + STEREO)
def test_an_embedded_molecule_has_the_bonds_of_its_smiles(smiles):
    mol, numbers, positions, bonded = embedded(smiles)
    assert positions.shape == (mol.GetNumAtoms(), 3)
    assert np.array_equal(conformers.closest_pairs(numbers, positions, mol.GetNumBonds()), bonded)


@pytest.mark.parametrize("smiles", STEREO)
def test_an_embedded_molecule_has_the_stereochemistry_of_its_smiles(smiles):
    assert canonical_from_positions(smiles, embedded(smiles)[2]) == Chem.CanonSmiles(smiles)


@pytest.mark.parametrize("smiles", ["C(F)(F)" * 33 + "F", "C[NH2+]" + "C(=O)N" * 3 + "CC(=O)[O-]"])
def test_a_large_and_a_charged_molecule_are_embedded(smiles):
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    positions, method = embed(smiles)
    assert positions.shape == (mol.GetNumAtoms(), 3)
    assert method.startswith("etkdg")
    assert "mmff94" in method


@pytest.mark.parametrize("smiles", ["O.CCO", "c1ccccc1.c1ccccc1", "CC(=O)[O-].[Na+]", "OC(=O)C(O)=O.O.O"])
def test_fragments_do_not_overlap(smiles):
    _, _, positions, bonded = embedded(smiles)
    distances = np.linalg.norm(positions[:, None] - positions, axis=-1)
    fragment = np.linalg.matrix_power(bonded + np.eye(len(bonded)), len(bonded)) > 0
    assert distances[~fragment].min() > 1.5


def test_the_same_input_gives_the_same_coordinates_in_every_process():
    program = (
        "import hashlib; from boomlib.features.conformers import embed; "
        "print(hashlib.sha256(embed('OCC1CC1N')[0].tobytes()).hexdigest())"
    )
    runs = [
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=env).stdout
        for env in ({"PYTHONHASHSEED": "1"}, {"PYTHONHASHSEED": "2"})
    ]
    here = hashlib.sha256(embed("OCC1CC1N")[0].tobytes()).hexdigest()
    assert {run.strip() for run in runs} == {here}


def test_another_seed_gives_another_conformer():
    assert not np.allclose(embed("OCC1CC1N", seed=1)[0], embed("OCC1CC1N", seed=2)[0])


@pytest.mark.parametrize(
    ("fail", "expected"),
    [
        (0, "etkdg, mmff94"),
        (1, "etkdg from random coordinates, mmff94"),
        (2, "distance geometry from random coordinates, mmff94"),
        (3, "force field from random coordinates, mmff94"),
    ],
)
def test_embedding_falls_back(monkeypatch, fail, expected):
    original, calls = rdDistGeom.EmbedMolecule, []

    def flaky(mol, parameters):
        calls.append(parameters)
        return -1 if len(calls) <= fail else original(mol, parameters)

    monkeypatch.setattr(rdDistGeom, "EmbedMolecule", flaky)
    assert embed("OCC1CC1N")[1] == expected


def test_an_embedding_that_never_works_gives_a_reason(monkeypatch):
    monkeypatch.setattr(rdDistGeom, "EmbedMolecule", lambda *_: -1)
    monkeypatch.setattr(conformers, "closest_pairs", lambda *_: np.zeros((9, 9), dtype=bool))
    monkeypatch.setattr(conformers, "RELAXATIONS", 2)
    with pytest.raises(ConformerError, match=r"no coordinates \(etkdg, .*, a force field from random coordinates\)"):
        embed("CCO")


# its bridge would have to reach through the rings
STRAINED = "CCSCc1ccc2c(c1)c1c3c(c4c5cc(CSCC)ccc5n5c4c1n2[C@@H]1C[C@H](C(=O)OOC)[C@]5(C)O1)CNC3=O"


@pytest.fixture
def limits(monkeypatch) -> list[int]:
    """What limits each embedding, 0 where it is RDKit's own, 10 attempts an atom; then a 1 for each relaxation."""
    found = []
    embed_molecule, optimise = rdDistGeom.EmbedMolecule, rdForceFieldHelpers.UFFOptimizeMolecule
    monkeypatch.setattr(
        rdDistGeom,
        "EmbedMolecule",
        lambda mol, parameters: found.append(parameters.maxIterations) or embed_molecule(mol, parameters),
    )
    monkeypatch.setattr(
        rdForceFieldHelpers, "UFFOptimizeMolecule", lambda *args, **kw: found.append(1) or optimise(*args, **kw)
    )
    return found


@pytest.mark.parametrize("smiles", [STRAINED, "CC1(C)[C@H]2CC[C@@]1(C)C(=O)C2", "C1C[C@@H]2C[C@@H]1O2"])
def test_an_embedding_that_does_not_succeed_ends_after_its_attempts_with_a_note(limits, smiles):
    rows = pa.table(conformers.compute([smiles, "CO"], max_embedding_attempts=3)).to_pylist()
    assert limits[:7] == [3, 3, 3, 1, 1, 1, 3]
    assert [row["source"] for row in rows] == [None, "etkdg"]
    assert rows[0]["positions"] is None
    assert "at most 3 attempts each, which the dataset's `max_embedding_attempts` allows" in rows[0]["note"]


def test_the_limit_of_booms_datasets_is_none_for_their_molecules(limits, monkeypatch):
    monkeypatch.setattr(rdDistGeom, "EmbedMolecule", lambda _, parameters: limits.append(parameters.maxIterations))
    monkeypatch.setattr(rdForceFieldHelpers, "UFFHasAllMoleculeParams", lambda _: False)
    datasets, _ = registry.load_datasets()
    assert {entry["max_embedding_attempts"] for entry in datasets.values()} == {1600}
    for smiles in ("C" * 52, "C"):  # 158 atoms; 10K CSD's largest molecule has 156
        with pytest.raises(ConformerError):
            embed(smiles, attempts=1600)
    assert limits == [0, 300, 300] * 2
    assert conformers.RELAXATIONS <= 1600


def test_the_same_coordinates_come_out_whatever_the_limit_that_is_not_reached():
    for smiles in ("OCC1CC1N", "C1OC2CC3CC12O3", "O.CCO"):
        positions, method = embed(smiles)
        few = embed(smiles, attempts=20)
        assert (positions.tobytes(), method) == (few[0].tobytes(), few[1])


def test_the_schemas_limit_is_that_of_the_code():
    schema = schemas.read_schema("datasets")["properties"]["datasets"]["additionalProperties"]["properties"]
    assert schema["max_embedding_attempts"]["default"] == conformers.ATTEMPTS


@pytest.mark.parametrize("smiles", ["C1OC2CC3CC12O3", "C1C2C3CC4(COC34)N12"])
def test_a_cage_that_rdkit_refuses_is_relaxed_by_a_force_field_until_its_bonds_are_right(smiles):
    assert embed(smiles)[1] == "force field from random coordinates, mmff94"
    mol, numbers, positions, bonded = embedded(smiles)
    assert np.array_equal(conformers.closest_pairs(numbers, positions, mol.GetNumBonds()), bonded)


@pytest.mark.parametrize("smiles", ["C[C@H](O)N", "C[C@@H](O)N", "F/C=C/Cl", "F/C=C\\Cl"])
def test_stereochemistry_is_right_even_from_a_force_field_alone(monkeypatch, smiles):
    monkeypatch.setattr(rdDistGeom, "EmbedMolecule", lambda *_: -1)
    assert canonical_from_positions(smiles, embed(smiles)[0]) == Chem.CanonSmiles(smiles)


def test_the_force_field_falls_back(monkeypatch):
    assert embed("CB(O)O")[1] == "etkdg, uff", "MMFF94 has no boron"
    monkeypatch.setattr(conformers, "MAX_STEPS", 1)
    assert embed("CCO")[1] == "etkdg, mmff94 not converged"
    monkeypatch.setattr(rdForceFieldHelpers, "UFFHasAllMoleculeParams", lambda _: False)
    positions, method = embed("CB(O)O")
    assert method == "etkdg, not optimised"
    assert np.isfinite(positions).all()


def test_an_optimisation_that_explodes_is_undone(monkeypatch):
    def explode(mol, **_):
        mol.GetConformer().SetPositions(np.full((mol.GetNumAtoms(), 3), np.nan))
        return 0

    monkeypatch.setattr(rdForceFieldHelpers, "MMFFOptimizeMolecule", explode)
    positions, method = embed("CCO")
    assert method == "etkdg, uff"
    assert np.isfinite(positions).all()


DATASET = ["CCO", "C#CC#C", "CC(C)(C)C", "c1ccccc1", "CCCC", "C1CC1", "[NH3+]CC(=O)[O-]"]


def geometry_of(smiles, seed=3):
    numbers, positions, _ = shuffled(smiles, seed=seed)
    return numbers, positions.ravel()


@pytest.fixture
def run(tmp_path):
    """Computes the conformers of DATASET from geometries, pairs of elements and flat positions."""
    contracts.write_molecules(tmp_path / "molecules.parquet", DATASET, {}, {})

    def compute(geometries=(), name="out.parquet", ids=None, group_rows=None, **settings):
        numbers, positions = zip(*geometries, strict=True) if geometries else ([], [])
        ids = range(len(numbers)) if ids is None else ids
        types = contracts.GEOMETRY.columns
        arrays = [pa.array(list(c), t) for c, t in zip((ids, numbers, positions), types.values(), strict=True)]
        table = pa.table(dict(zip(types, arrays, strict=True)))
        pq.write_table(table, tmp_path / "geometry.parquet", row_group_size=group_rows)
        arguments = ("conformers", tmp_path / "molecules.parquet", tmp_path / name)
        compute_feature(*arguments, tables={"geometry": tmp_path / "geometry.parquet"}, **settings)
        return contracts.read_table(tmp_path / name)

    return compute


def check_atoms(rows):
    for row in rows:
        _, numbers, _, bonded = embedded(DATASET[row["molecule_id"]])
        positions = np.array(row["positions"]).reshape(-1, 3)
        assert row["atomic_numbers"] == numbers.tolist()
        assert np.array_equal(conformers.closest_pairs(numbers, positions, int(bonded.sum()) // 2), bonded)


def test_molecules_without_geometries_are_embedded(run):
    table = run()
    assert table["molecule_id"].to_pylist() == list(range(len(DATASET)))
    assert set(table["source"].to_pylist()) == {"etkdg"}
    assert table["note"].null_count == len(DATASET)
    check_atoms(table.to_pylist())
    expected = embedded(DATASET[0])[2].astype(np.float32).ravel()
    assert np.array_equal(np.array(table["positions"][0].as_py(), dtype=np.float32), expected)


@pytest.mark.parametrize("group_rows", [1, 2, 3, 512])
@pytest.mark.parametrize("chunk", [1, 2, 3, 512])
def test_geometries_are_reordered_whatever_the_sizes_of_chunks_and_row_groups(run, monkeypatch, chunk, group_rows):
    monkeypatch.setattr(conformers, "CHUNK", chunk)
    geometries = [geometry_of(smiles) for smiles in DATASET]
    rows = run(geometries, group_rows=group_rows).to_pylist()
    check_atoms(rows)
    for row, (_, flat) in zip(rows, geometries, strict=True):
        assert (row["source"], row["note"]) == ("dft", None)
        given = flat.astype(np.float32).reshape(-1, 3).tolist()
        assert sorted(np.array(row["positions"]).reshape(-1, 3).tolist()) == sorted(given)


def test_a_geometry_of_another_isomer_is_replaced_by_an_embedding_and_noted(run, capsys):
    geometries = [geometry_of(smiles) for smiles in DATASET]
    geometries[4] = geometry_of("CC(C)C")
    geometries[0] = (geometries[0][0], geometries[0][1][:-1])
    rows = run(geometries).to_pylist()
    check_atoms(rows)
    assert {row["molecule_id"]: row["note"] for row in rows if row["source"] == "etkdg"} == {
        0: "not the source's geometry: 26 coordinates for 9 atoms",
        4: "not the source's geometry: the connectivity differs: the geometry's bonds are not those of the SMILES",
    }
    assert "CCCC: not the source's geometry" in capsys.readouterr().err


def test_a_failed_embedding_is_noted_and_refused_by_models_that_need_it(run, monkeypatch, tmp_path):
    def some(smiles, **_):
        if smiles in ("CCCC", DATASET[6]):
            raise ConformerError(f"no luck with {smiles}")
        return embed(smiles)

    monkeypatch.setattr(conformers, "embed", some)
    rows = run().to_pylist()
    check_atoms(row for row in rows if row["positions"])
    notes = [(row["molecule_id"], row["source"], row["note"]) for row in rows if not row["positions"]]
    assert notes == [(row, None, f"no luck with {DATASET[row]}") for row in (4, 6)]
    task = {"molecule_id": range(len(DATASET)), "smiles": DATASET, "y": [0.0] * len(DATASET)}
    table = pa.table(task | {"fold": contracts.fold_array(["train"] * len(DATASET))})
    contracts.write_table(table, tmp_path / "task.parquet")
    with pytest.raises(
        ContractError, match=r"2 molecules have no positions \(CCCC, .*; of the first: no luck with CCCC\)"
    ):
        read_task(tmp_path / "task.parquet", {"conformers": tmp_path / "out.parquet"})
    origin = contracts.Origin("data/x.csv", "line", np.arange(len(DATASET)) * 3 + 2)
    contracts.write_table(table.append_column(*origin.as_column()), tmp_path / "task.parquet")
    with pytest.raises(ContractError, match=r"data/x\.csv, line 14 \(CCCC\), line 20 \(.*; of the first: no luck"):
        read_task(tmp_path / "task.parquet", {"conformers": tmp_path / "out.parquet"})


@pytest.mark.parametrize("workers", [1, 2])
def test_a_molecule_without_positions_comes_through_workers(monkeypatch, tmp_path, workers):
    monkeypatch.setattr(conformers, "CHUNK", 1)
    impossible = "[C@]123[C@@]4[C@@]1[C@]2[C@@]34"  # no workers see a patched `embed`: RDKit itself must fail
    contracts.write_molecules(tmp_path / "molecules.parquet", ["CCO", impossible, "CCC"], {}, {})
    compute_feature("conformers", tmp_path / "molecules.parquet", tmp_path / "out.parquet", workers)
    table = contracts.read_table(tmp_path / "out.parquet")
    assert table["positions"].is_null().to_pylist() == [False, True, False]
    assert table["source"].to_pylist() == ["etkdg", None, "etkdg"]
    assert table["note"][1].as_py().startswith("RDKit found no coordinates")


@pytest.mark.parametrize("matched", [False, True], ids=["embedded", "matched"])
def test_the_bytes_are_the_same_whatever_the_workers_and_the_parts(run, monkeypatch, tmp_path, matched):
    monkeypatch.setattr(conformers, "CHUNK", 2)
    geometries = [geometry_of(smiles) for smiles in DATASET] if matched else ()
    run(geometries, "one.parquet")
    run(geometries, "two.parquet", workers=2)
    for part in range(5):  # one more than there are chunks
        run(geometries, f"part{part}.parquet", part=(part, 5), group_rows=3)
    merge_parts([tmp_path / f"part{part}.parquet" for part in range(5)], tmp_path / "merged.parquet")
    one, two, merged = ((tmp_path / f"{name}.parquet").read_bytes() for name in ("one", "two", "merged"))
    assert one == two == merged


def test_a_geometry_table_that_is_not_that_of_the_molecules_is_refused(run):
    geometries = [geometry_of(smiles) for smiles in DATASET]
    for ids, some in ((range(len(DATASET)), geometries[:-1]), ([1, 0, *range(2, len(DATASET))], geometries)):
        with pytest.raises(ContractError, match=r"geometry\.parquet: molecule_id is not 0…6 in order"):
            run(some, ids=list(ids)[: len(some)])


@pytest.mark.parametrize("workers", [1, 2])
def test_a_geometry_table_with_a_broken_row_group_is_refused(run, monkeypatch, tmp_path, workers):
    monkeypatch.setattr(conformers, "CHUNK", 2)
    path = tmp_path / "geometry.parquet"
    run([geometry_of(smiles) for smiles in DATASET], group_rows=3)
    data = bytearray(path.read_bytes())
    page = pq.ParquetFile(path).metadata.row_group(1).column(2).data_page_offset
    data[page : page + 20] = bytes(20)
    path.write_bytes(data)
    with pytest.raises(ContractError, match=r"geometry\.parquet: not readable as Parquet"):
        arguments = ("conformers", tmp_path / "molecules.parquet", tmp_path / "again.parquet", workers)
        compute_feature(*arguments, tables={"geometry": path})
    assert not (tmp_path / "again.parquet").exists()
