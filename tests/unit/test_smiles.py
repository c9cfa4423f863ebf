import pytest

from boomlib.files import ContractError
from boomlib.smiles import canonical_smiles


def test_spellings_of_one_molecule_are_written_alike_and_stereochemistry_and_isotopes_on_request():
    assert {canonical_smiles(each) for each in ("OCC", "C(O)C", "[CH3][CH2][OH]")} == {"CCO"}
    left, right = (canonical_smiles(each) for each in ("N[C@@H](C)C(=O)O", "N[C@H](C)C(=O)O"))
    assert left != right
    alike = {canonical_smiles(each, isomeric=False) for each in (left, right, "[15NH2]C(C)C(=O)O")}
    assert alike == {"CC(N)C(=O)O"}


def test_what_is_no_molecule_is_named():
    with pytest.raises(ContractError, match="'C1CC': RDKit cannot parse the SMILES"):
        canonical_smiles("C1CC")
