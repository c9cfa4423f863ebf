import subprocess
import sys

import pytest
from rdkit import Chem

from boomlib.files import ContractError
from boomlib.smiles import canonical_smiles


@pytest.mark.parametrize("smiles", ["OCC", "c1ccccc1C(=O)O", "F/C=C\\F", "N[C@@H](C)C(=O)O", "[13CH4]", "[Na+].[Cl-]"])
def test_canonical_smiles_are_rdkits(smiles):
    assert canonical_smiles(smiles) == Chem.CanonSmiles(smiles)
    flat = Chem.MolToSmiles(Chem.MolFromSmiles(smiles), isomericSmiles=False)
    assert canonical_smiles(smiles, isomeric=False) == flat


def test_stereochemistry_and_isotopes_are_told_unless_they_shall_not_be():
    assert canonical_smiles("C[C@@H](F)[13CH3]") != canonical_smiles("C[C@H](F)[13CH3]")
    assert canonical_smiles("C[C@@H](F)[13CH3]", isomeric=False) == "CC(C)F"


def test_what_is_no_smiles_is_refused_by_name():
    with pytest.raises(ContractError, match="SMILES 'c1cc': RDKit cannot parse it; correct the SMILES in the source"):
        canonical_smiles("c1cc")


def test_importing_it_loads_no_rdkit():
    subprocess.run([sys.executable, "-c", "import sys, boomlib.smiles; assert 'rdkit' not in sys.modules"], check=True)
