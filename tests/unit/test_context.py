import itertools

import numpy as np
import pyarrow as pa
import pytest
from conftest import make_molecules
from rdkit import Chem

from boomlib.features import context
from boomlib.features.context import CONTEXT_SETS, HOMOLOGOUS, INTENSIVE

ODD = ["C", "O", "N", "[H][H]", "[He]", "[H+]", "[Na+].[Cl-]", "C[NH3+].[Cl-]", "[2H]C([2H])([2H])O", "[CH3]"]
SMILES = make_molecules(60)["smiles"].tolist()
SITE = Chem.MolFromSmarts("[CX4]!@-*")


def described(smiles):
    """Columns by name of one molecule, without the prefix where it is that of homologous."""
    columns = {name: column[0].as_py() for name, column in context.compute([smiles]).items()}
    return {name.removeprefix("homologous_"): value for name, value in columns.items()}


def groups_of(smiles):
    found = described(smiles)
    return {name: found[name] for name in context.GROUPS if found[name]}


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        ("C", {}),
        ("CCCC", {}),
        ("c1ccccc1", {}),
        ("CCO", {"alcohol": 1}),
        ("Oc1ccccc1", {"phenol": 1}),
        ("CC(=O)O", {"acid": 1}),
        ("CC(=O)[O-].[Na+]", {"acid": 1}),
        ("CC(=O)OC", {"ester": 1}),
        ("COC(=O)OC", {"ester": 2}),
        ("CC(=O)N(C)C", {"amide": 1}),
        ("NC(=O)N", {"amide": 2}),
        ("CC=O", {"aldehyde": 1}),
        ("CC(C)=O", {"ketone": 1}),
        ("COC", {"ether": 1}),
        ("COc1ccccc1", {"ether": 1}),
        ("CN", {"amine": 1}),
        ("CN(C)c1ccccc1", {"amine": 1}),
        ("CNC1CCCCC1", {"amine": 1}),
        ("C[NH3+]", {"ammonium": 1}),
        ("CC#N", {"nitrile": 1}),
        ("CC=NC", {"imine": 1}),
        ("CC=NO", {"imine": 1, "no_bond": 1}),
        ("CN(=O)=O", {"nitro": 1}),
        ("Cc1c(N(=O)=O)cc(N(=O)=O)cc1N(=O)=O", {"nitro": 3}),
        ("C1N(N(=O)=O)CN(N(=O)=O)CN1N(=O)=O", {"nitramine": 3, "nn_bond": 3}),
        ("CON(=O)=O", {"nitrate_ester": 1, "no_bond": 1}),
        ("CN=O", {"nitroso": 1}),
        ("CN=[N+]=[N-]", {"azide": 1}),
        ("CN=NC", {"azo": 1}),
        ("NN", {"nn_bond": 1}),
        ("C[N+](C)(C)[O-]", {"n_oxide": 1, "ammonium": 1}),
        ("[O-][n+]1ccccc1", {"n_oxide": 1, "aromatic_n": 1}),
        ("Nc1nonc1N", {"amine": 2, "aromatic_n": 2, "aromatic_o": 1, "no_bond": 2}),
        ("c1nnn[nH]1", {"aromatic_n": 4, "nn_bond": 3}),
        ("COOC", {"oo_bond": 1}),
        ("FC(F)Cl", {"alkyl_halide": 3}),
        ("Brc1ccccc1I", {"aryl_halide": 2}),
        ("CS", {"thiol": 1}),
        ("CSC", {"thioether": 1}),
        ("CC(C)=S", {"thiocarbonyl": 1}),
        ("CS(C)(=O)=O", {"sulfone": 1}),
        ("CS(=O)(=O)N", {"sulfonamide": 1}),
        ("c1ccsc1", {"aromatic_s": 1}),
        ("C=CC=C", {"alkene": 2}),
        ("CC#CC", {"alkyne": 1}),
    ],
)
def test_functional_groups_by_hand(smiles, expected):
    assert groups_of(smiles) == expected


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        ("C", {}),
        ("c1ccccc1", {"unsaturation": 4, "ring_6": 1, "aromatic_ring": 1, "sp2": 6}),
        ("C1CC1C#N", {"unsaturation": 3, "ring_3": 1, "N": 1, "sp": 2}),
        ("C1CCC1", {"unsaturation": 1, "ring_4": 1}),
        ("c1ccsc1", {"unsaturation": 3, "ring_5": 1, "aromatic_ring": 1, "S": 1, "sp2": 5}),
        ("C1CCCCCCC1", {"unsaturation": 1, "larger_ring": 1}),
        ("CN(=O)=O", {"unsaturation": 1, "N": 1, "O": 2, "charged_atom": 2, "sp2": 3}),
        ("[Na+].[Cl-]", {"Cl": 1, "other_element": 1, "charged_atom": 2}),
        ("FC(Cl)(Br)P", {"F": 1, "Cl": 1, "Br": 1, "P": 1}),
    ],
)
def test_homologous_counts_by_hand(smiles, expected):
    found = described(smiles)
    names = {name.removeprefix("homologous_") for name in HOMOLOGOUS} - context.GROUPS.keys()
    assert {name: found[name] for name in names if found[name]} == expected


def test_intensive_values_by_hand():
    found = described("OCC1CC1")  # C4H8O: 13 atoms, 5 heavy
    expected = {"H": 8 / 13, "C": 4 / 13, "O": 1 / 13}
    expected |= {"sp3": 1, "ring_atom": 3 / 5, "ring_3": 1 / 5, "alcohol": 1 / 5}
    expected |= {"rotatable_bond": 1 / 5, "donor": 1 / 5, "acceptor": 1 / 5}
    intensive = {name.removeprefix("intensive_"): found[name] for name in INTENSIVE if found[name]}
    assert intensive == pytest.approx(expected, rel=1e-6)
    assert described("CC(O)F")["intensive_stereocentre"] == pytest.approx(1 / 4)
    assert described("c1ccccc1C")["intensive_aromatic_atom"] == pytest.approx(6 / 7)


@pytest.mark.parametrize("smiles", SMILES[:20] + ODD)
def test_intensive_values_do_not_change_when_everything_is_there_twice(smiles):
    once, twice = described(smiles), described(f"{smiles}.{smiles}")
    assert {name: twice[name] for name in INTENSIVE} == {name: once[name] for name in INTENSIVE}


def homologues(smiles):
    """The molecules that one CH2 makes of it, put into each acyclic single bond of an sp3 carbon."""
    mol = Chem.MolFromSmiles(smiles)
    for begin, end in mol.GetSubstructMatches(SITE):
        grown = Chem.RWMol(mol)
        grown.RemoveBond(begin, end)
        added = grown.AddAtom(Chem.Atom("C"))
        grown.AddBond(begin, added, Chem.BondType.SINGLE)
        grown.AddBond(added, end, Chem.BondType.SINGLE)
        yield Chem.MolToSmiles(grown)


GROUPED = [
    "CCCCCCO",
    "CCCCN",
    "CCCCNC(=O)C(C)C",
    "CC(C)OC(=O)CC(N)C(O)=O",
    "CCN(CC)C(=O)c1cccnc1C",
    "CC(C)(C)c1cc(C=NO)c(OC)c(C[N+](=O)[O-])c1",
    "CN(CC(F)(F)F)[N+](=O)[O-]",
    "COS(=O)(=O)CC1CC1CSC",
    "CC[N+](C)(C)CC([O-])=O",
    "CC=CCC#CC(=O)CCl",
    "CNNC(=S)OCC1CCCCC1",
    "CC(=O)OC(=O)CN=[N+]=[N-]",
]


@pytest.mark.parametrize("smiles", GROUPED)
def test_a_homologue_has_the_same_homologous_context(smiles):
    family = [smiles, *homologues(smiles)]
    assert len(family) > 3
    columns = context.compute(family)
    for name in HOMOLOGOUS:
        values = columns[name].to_pylist()
        assert set(values) == {values[0]}, (name, dict(zip(family, values, strict=True)))


def test_sets_are_columns_of_the_table_and_share_none():
    columns = context.compute(SMILES)
    assert list(columns) == [*INTENSIVE, *HOMOLOGOUS]
    assert len(set(columns)) == len(columns)
    assert {"intensive": INTENSIVE, "homologous": HOMOLOGOUS} == CONTEXT_SETS
    assert {column.type for column in columns.values()} == {pa.float32()}
    assert not {"homologous_C", "homologous_H", "homologous_sp3", "intensive_unsaturation"} & set(columns)


def test_everything_is_finite_and_shares_are_shares():
    columns = {name: column.to_numpy() for name, column in context.compute(SMILES + ODD).items()}
    assert np.isfinite(list(columns.values())).all()
    elements = np.array([columns[f"intensive_{name}"] for name in context.ELEMENTS])
    np.testing.assert_allclose(elements.sum(axis=0), 1, rtol=1e-6)
    shapes = sum(columns[f"intensive_{name}"] for name in ("sp", "sp2", "sp3"))
    assert shapes.max() <= 1 + 1e-6
    np.testing.assert_allclose(shapes[: len(SMILES)], 1, rtol=1e-6)


@pytest.mark.parametrize("smiles", [*SMILES[::6], "[O-][n+]1ccccc1", "CS(C)(=O)=O", "O=S=O", "c1ccc2cc3ccccc3cc2c1"])
def test_unsaturation_counts_rings_and_pi_bonds(smiles):
    mol = Chem.MolFromSmiles(smiles)
    Chem.Kekulize(mol, clearAromaticFlags=True)
    rings = mol.GetNumBonds() - mol.GetNumAtoms() + len(Chem.GetMolFrags(mol))
    pi_bonds = sum(bond.GetBondTypeAsDouble() - 1 for bond in mol.GetBonds())
    assert described(smiles)["unsaturation"] == rings + pi_bonds


def test_a_molecules_context_does_not_depend_on_its_neighbours():
    together = context.compute(SMILES[:10] + ODD)
    for row, smiles in itertools.chain(enumerate(SMILES[:10]), enumerate(ODD, start=10)):
        alone = context.compute([smiles])
        assert all(alone[name][0] == column[row] for name, column in together.items())
