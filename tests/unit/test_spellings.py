import pytest

from boomlib.files import ContractError
from boomlib.smiles import canonical_smiles
from boomlib.text.spellings import draw_spellings


def test_random_spellings_are_of_the_same_molecule_and_depend_on_it_and_the_seed_alone():
    smiles = ["CC(=O)Oc1ccccc1C(=O)O", "C[C@H](N)C(=O)O"]
    spelled = draw_spellings(smiles, 5, seed=3)
    assert [[canonical_smiles(each) for each in texts] for texts in spelled] == [
        [canonical_smiles(text)] * 5 for text in smiles
    ]
    assert len(set(spelled[0])) > 1
    assert draw_spellings(smiles[1:], 5, seed=3) == spelled[1:]
    assert draw_spellings(smiles, 5, seed=4) != spelled


def test_what_is_no_smiles_is_refused_by_name():
    with pytest.raises(ContractError, match="SMILES 'c1cc': RDKit cannot parse it; correct the SMILES in the source"):
        draw_spellings(["CC", "c1cc"], 1, 0)


def test_spellings_without_stereochemistry():
    assert all("@" not in text for text in draw_spellings(["C[C@H](N)C(=O)O"], 5, 0, isomeric=False)[0])
