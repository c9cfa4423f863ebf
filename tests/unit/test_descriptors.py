import numpy as np
import pyarrow as pa
import pytest
from rdkit import Chem
from rdkit.Chem import QED, Descriptors, Fragments

from boomlib.features import descriptors

# the last is aromatic through triple bonds
MOLECULES = """
C O P S [H][H] [He] [Xe] [Fe] [H+] [CH3] [CH2]C C=O O=C=O N#N [C-]#[O+] C#C C=C=C CC CCO ClCl *C *c1ccccc1
[2H][2H] [2H]C([2H])([2H])O [13CH3]c1ccccc1 [15NH2]C [H]/N=C/C [H]O[H]
[Na+].[Cl-] CC(=O)[O-].[Na+] O.O.O F.F.F.F CC(=O)OC.CC(=O)OC.CC(=O)OC [NH3+]CC([O-])=O C[N+](C)(C)C
[Fe+2].[Cl-].[Cl-] Cl[Pt](Cl)(N)N N->[Pt](<-N)(Cl)Cl C[Hg]C [Li]CCCC O=[Mn](=O)(=O)[O-].[K+] [BH4-] C[Si](C)(C)C
[cH-]1cccc1.[Fe+2].c1cc[cH-]c1 [H]B([H])C FS(F)(F)(F)(F)F C$C C~C
C1CC1 C1CCC1 C12CC1C2 C1CC11CC1 C12C3C1C23 C12C3C4C1C5C2C3C45 C1CC2CC1C=C2 C1CN2CCN1CC2 C1CCCCCCCCCCC1 CC12CC1C2C#N
c1ccccc1 c1ccc2cc3ccccc3cc2c1 c1cc[nH]c1 c1ccsc1 [se]1cccc1 c1nnnn1C=O O=c1[nH]c(=O)c2[nH]cnc2[nH]1 c1cccc[cH+]c1
N1C2=CC=CC=C2SC3=C1C=CC4=C3C=CC=C4 CC1=CC2=C(C)C=CC2=C(C)C=C1 OC1=C(O)C=C2C(=C1)OC3=CC(=O)C(=CC3=C2C4=CC=CC=C4)O
F/C=C/F F/C=C\\F C[C@H](N)C(=O)O C[S@](=O)CC OC1CCC(O)CC1 C[C@@H]1C[C@H]1C=CC=CC
[O-][N+](=O)c1ccccc1O CN(=O)=O CN=[N+]=[N-] COP(=O)(OC)SC OP(=O)(O)O O=S(=O)(O)C(F)(F)F CS(=O)(=O)N NC(=O)NC1CC(=O)N1
CC(=O)Nc1ccc(O)cc1 CN1CCCC1c1cccnc1 CN1C(=O)CN=C(c2ccccc2)c2cc(Cl)ccc12 C1=CNC=CC1 CNC(=O)OC OCCN1CCCC1 S=C=NC
O=C1NC(=O)NC(=O)C1 NNC(=O)c1ccncc1 CC(C)(C)NCC(O)c1ccc(O)c(CO)c1 CCCCCCCCCCCCCCCCCC(=O)O CC#CC(=O)OC BrCCSC#N
c1ccc2C#CC#Cc3ccccc3C#CC#Cc3ccccc3C#CC#Cc2c1
""".split()  # noqa: SIM905 (shorter than a list)
PATTERNS = [function.__defaults__[1] for _, function in Fragments.fns] + QED.StructuralAlerts + QED.Acceptors


def computed(smiles: str) -> dict[str, float]:
    return {name: column[0].as_py() for name, column in descriptors.compute([smiles]).items()}


def by_rdkit(smiles: str) -> dict[str, float]:
    return Descriptors.CalcMolDescriptors(Chem.MolFromSmiles(smiles), missingVal=np.nan)


def differing(found: dict[str, float], expected: dict[str, float]) -> set[str]:
    return {name for name in expected if not np.array_equal(found[name], expected[name], equal_nan=True)}


@pytest.fixture
def groups_chosen_again():
    descriptors.agreeing_groups.cache_clear()
    yield
    descriptors.agreeing_groups.cache_clear()


def test_names_and_their_order_are_rdkits():
    columns = descriptors.compute(["CCO"])
    assert list(columns) == [name for name, _ in Descriptors.descList]
    assert {column.type for column in columns.values()} == {pa.float64()}
    assert [len(column) for column in descriptors.compute([]).values()] == [0] * len(columns)


def test_every_group_agrees_with_rdkit():
    assert descriptors.agreeing_groups() == descriptors.GROUPS
    names = [name for group in descriptors.GROUPS for name in group]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("smiles", [*MOLECULES, ""])
def test_values_are_rdkits_bit_for_bit(smiles):
    assert differing(computed(smiles), by_rdkit(smiles)) == set()


def test_values_do_not_depend_on_the_molecules_before():
    together = descriptors.compute(MOLECULES)
    for row in (0, 20, len(MOLECULES) - 1):
        found = {name: column[row].as_py() for name, column in together.items()}
        assert differing(found, computed(MOLECULES[row])) == set()


def test_no_group_is_left_to_rdkit_for_a_plain_molecule():
    shared = descriptors.Shared(Chem.MolFromSmiles("CC(=O)Nc1ccc(O)cc1"))
    for names, function in descriptors.GROUPS.items():
        assert len(function(shared)) == len(names)


def test_what_a_pattern_needs_excludes_no_match():
    patterns = [descriptors.Pattern(mol) for mol in PATTERNS]
    excluded = 0
    for smiles in MOLECULES:
        shared = descriptors.Shared(Chem.MolFromSmiles(smiles))
        for pattern in patterns:
            if not pattern.possible(shared.unmet):
                excluded += 1
                assert not shared.mol.HasSubstructMatch(pattern.mol), (smiles, Chem.MolToSmarts(pattern.mol))
    assert excluded > 0.7 * len(patterns) * len(MOLECULES)


@pytest.mark.parametrize(
    ("smarts", "possible", "impossible"),
    [
        ("[NH2]", "CN", "CNC"),
        ("[!#6]", "CO", "CC"),
        ("[C,N]#[N+]", "C[N+]#N", "CC#N"),
        ("c-[OH]", "Oc1ccccc1", "OCc1ccccc1"),
        ("C1CC1", "C1CCC1", "CCC"),
        ("[R2]", "C1CCC1", "CCC"),
        ("[!R]", "CC", "C1CC1"),
        ("[$(C=O)]", "CC=O", "CCO"),
        ("[$(C=O),$(C#N)]", "CC#N", "CCO"),
        ("[!$(C=O)]", "CC=O", None),
        ("[$([C;$(C=O)])]-N", "NC=O", "CN"),
    ],
)
def test_pattern_knows_what_it_needs(smarts, possible, impossible):
    pattern = descriptors.Pattern(Chem.MolFromSmarts(smarts))
    caches = (descriptors.needs_met_by_atom, descriptors.needs_met_by_bond, descriptors.fitting_bonds)
    for cache in (*caches, descriptors.needs_met_by_rings):  # which do not know a new pattern's needs
        cache.cache_clear()
    assert pattern.possible(descriptors.Shared(Chem.MolFromSmiles(possible)).unmet)
    if impossible:
        assert not pattern.possible(descriptors.Shared(Chem.MolFromSmiles(impossible)).unmet)


def test_an_exception_in_one_descriptor_is_nan_there_only(monkeypatch):
    def fail(mol):
        raise ValueError("no")

    assert not any("TPSA" in names for names in descriptors.GROUPS)
    monkeypatch.setitem(descriptors.FUNCTIONS, "TPSA", fail)
    assert differing(computed("CC(=O)N"), by_rdkit("CC(=O)N")) == {"TPSA"}
    assert np.isnan(computed("CC(=O)N")["TPSA"])


def test_a_group_that_fails_is_left_to_rdkits_functions(monkeypatch):
    def fail(shared):
        raise ValueError("no")

    groups = dict.fromkeys(descriptors.agreeing_groups(), fail)
    monkeypatch.setattr(descriptors, "agreeing_groups", lambda: groups)
    assert differing(computed("CC(=O)N"), by_rdkit("CC(=O)N")) == set()
    monkeypatch.setitem(descriptors.FUNCTIONS, "BertzCT", fail)
    assert differing(computed("CC(=O)N"), by_rdkit("CC(=O)N")) == {"BertzCT"}


@pytest.mark.usefixtures("groups_chosen_again")
def test_a_group_that_differs_from_rdkit_is_not_used(monkeypatch):
    monkeypatch.setitem(descriptors.GROUPS, ("BertzCT",), lambda shared: (1.0,))
    assert ("BertzCT",) not in descriptors.agreeing_groups()
    assert differing(computed("CC(=O)N"), by_rdkit("CC(=O)N")) == set()


@pytest.mark.usefixtures("groups_chosen_again")
def test_names_that_no_group_knows_are_rdkits_functions(monkeypatch):
    monkeypatch.setitem(descriptors.FUNCTIONS, "New", lambda mol: mol.GetNumAtoms() / 2)
    monkeypatch.delitem(descriptors.FUNCTIONS, "Chi4n")
    monkeypatch.setattr(descriptors, "NAMES", tuple(descriptors.FUNCTIONS))
    assert not any("Chi4v" in names for names in descriptors.agreeing_groups())
    found = computed("CC(=O)N")
    assert found["New"] == 2
    expected = by_rdkit("CC(=O)N")
    del expected["Chi4n"]
    assert list(found) == [*expected, "New"]
    assert differing(found, expected) == set()
