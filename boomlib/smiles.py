"""One way to read a molecule and one to write it: RDKit's canonical SMILES."""

from typing import TYPE_CHECKING

from boomlib.files import ContractError

if TYPE_CHECKING:
    from rdkit.Chem import Mol


def read_molecule(smiles: str) -> "Mol":
    """RDKit's molecule of a SMILES; raises :class:`ContractError` if it cannot parse it."""
    from rdkit import Chem

    mol = Chem.MolFromSmiles(smiles)
    if mol is None:
        raise ContractError(
            f"SMILES {smiles!r}: RDKit cannot parse it; correct the SMILES in the source, or remove the row"
        )
    return mol


def canonical_smiles(smiles: str, isomeric: bool = True) -> str:
    """RDKit's canonical SMILES of a molecule, which is the same for all its spellings.

    Args:
        smiles: the molecule, in any spelling.
        isomeric: whether it tells stereochemistry and isotopes.

    Raises:
        ContractError: RDKit cannot parse the SMILES.
    """
    from rdkit import Chem

    return Chem.MolToSmiles(read_molecule(smiles), isomericSmiles=isomeric)
