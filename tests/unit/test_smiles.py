import itertools
import subprocess
import sys

import pytest
from rdkit import Chem

from boomlib.files import ContractError
from boomlib.smiles import canonical_smiles, identify, without_maps


@pytest.mark.parametrize("smiles", ["OCC", "c1ccccc1C(=O)O", "F/C=C\\F", "N[C@@H](C)C(=O)O", "[13CH4]", "[Na+].[Cl-]"])
def test_canonical_smiles_are_rdkits(smiles):
    assert canonical_smiles(smiles) == Chem.CanonSmiles(smiles)
    flat = Chem.MolToSmiles(Chem.MolFromSmiles(smiles), isomericSmiles=False)
    assert canonical_smiles(smiles, isomeric=False) == flat


def test_stereochemistry_and_isotopes_are_told_unless_they_shall_not_be():
    assert canonical_smiles("C[C@@H](F)[13CH3]") != canonical_smiles("C[C@H](F)[13CH3]")
    assert canonical_smiles("C[C@@H](F)[13CH3]", isomeric=False) == "CC(C)F"


@pytest.mark.parametrize(
    "spellings",
    [
        ["CO", "OC", "[CH3:1][OH:2]", "[CH3:7]O", "[H:3]C([H])([H])O", "[CH3][OH]"],
        # with its maps the carbon is a centre of chirality, whose mark RDKit writes once more without them
        ["CC(C)O", "[CH3:1][C@H](O)[CH3:2]", "[CH3:1][C@@H](O)[CH3]", "C[C@H](C)O"],
        # of this inositol RDKit's canonical SMILES is the second one, and of each of the two the other
        [
            "[C@@H]1(O)[C@@H](O)[C@@H](O)C(O)[C@@H](O)[C@@H]1O",
            "OC1[C@H](O)[C@@H](O)[C@@H](O)[C@H](O)[C@@H]1O",
            "OC1[C@H](O)[C@H](O)[C@@H](O)[C@@H](O)[C@@H]1O",
        ],
        # of another it is the second one, of which it is the third
        [
            "C1(O)[C@@H](O)[C@H]([C@H]([C@@H](O)[C@@H]1O)O)O",
            "OC1[C@H](O)[C@H](O)[C@H](O)[C@H](O)[C@H]1O",
            "OC1[C@H](O)[C@@H](O)[C@@H](O)[C@@H](O)[C@H]1O",
        ],
        ["C[C@H](F)Cl", "[CH3:1][C@H:2]([F:3])[Cl:4]", "Cl[C@H](C)F"],
        ["[Na+].[Cl-]", "[Cl-:2].[Na+:1]"],
        ["C[N+](=O)[O-]", "CN(=O)=O", "[CH3:1][N:2](=[O:3])=O"],
        ["[13CH4]", "[13CH4:1]"],
        ["c1ccccc1", "C1=CC=CC=C1", "[cH:1]1ccccc1"],
    ],
)
def test_all_spellings_of_a_molecule_are_one_with_and_without_atom_maps(spellings):
    identities = {identify(text) for text in spellings}
    assert len(identities) == 1
    assert {identify(text) for text in identities} == identities
    assert ":" not in min(identities)


def test_other_molecules_are_others():
    texts = ["C[C@H](F)Cl", "C[C@@H](F)Cl", "CC(F)Cl", "[13CH3]C(F)Cl", "CC(F)[Cl+]", "F/C=C/F", "F/C=C\\F", "FC=CF"]
    assert len({identify(text) for text in texts}) == len(texts)


@pytest.mark.parametrize("first", [0, 1, 2])
def test_where_canonical_smiles_go_round_the_molecule_is_one_from_wherever_it_begins(monkeypatch, first):
    spellings = itertools.cycle(["OCC", "C(O)C", "CCO"])
    list(itertools.islice(spellings, first))
    monkeypatch.setattr(Chem, "MolToSmiles", lambda mol: next(spellings))
    assert identify("CCO") == "C(O)C"


def test_atom_maps_alone_make_a_spelling_another():
    assert without_maps("OC") == "OC"
    assert without_maps("C1=CC=CC=C1") == "C1=CC=CC=C1"
    assert without_maps("[OH:1]C") == "CO"


def test_what_is_no_smiles_is_refused_by_name():
    with pytest.raises(ContractError, match="SMILES 'c1cc': RDKit cannot parse it; correct the SMILES in the source"):
        canonical_smiles("c1cc")


def test_importing_it_loads_no_rdkit():
    subprocess.run([sys.executable, "-c", "import sys, boomlib.smiles; assert 'rdkit' not in sys.modules"], check=True)
