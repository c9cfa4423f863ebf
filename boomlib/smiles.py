"""One way to write a molecule: RDKit's canonical SMILES."""

from boomlib.files import ContractError


def canonical_smiles(smiles: str, isomeric: bool = True) -> str:
    """RDKit's canonical SMILES of a molecule, which is the same for all its spellings.

    Args:
        smiles: the molecule, in any spelling.
        isomeric: whether it tells stereochemistry and isotopes.

    Raises:
        ContractError: RDKit cannot parse the SMILES.
    """
    from rdkit import Chem

    mol = Chem.MolFromSmiles(smiles)
    if mol is None:
        raise ContractError(f"{smiles!r}: RDKit cannot parse the SMILES")
    return Chem.MolToSmiles(mol, isomericSmiles=isomeric)
