"""One way to read a molecule, one to write it, RDKit's canonical SMILES, and one to tell it from others."""

import re
from typing import TYPE_CHECKING

from boomlib.files import MoleculeError

if TYPE_CHECKING:
    from rdkit.Chem import Mol

NUMBERED = re.compile(r":\d+\]")  # an atom with a map number


def read_molecule(smiles: str) -> "Mol":
    """RDKit's molecule of a SMILES; raises :class:`MoleculeError` if it cannot parse it."""
    from rdkit import Chem

    mol = Chem.MolFromSmiles(smiles)
    if mol is None:
        raise MoleculeError(
            f"SMILES {smiles!r}: RDKit cannot parse it; correct the SMILES in the source, or remove the row", [smiles]
        )
    return mol


def canonical_smiles(smiles: str, isomeric: bool = True) -> str:
    """RDKit's canonical SMILES of a molecule, which is the same for all its spellings.

    Args:
        smiles: the molecule, in any spelling.
        isomeric: whether it tells stereochemistry and isotopes.

    Raises:
        MoleculeError: RDKit cannot parse the SMILES.
    """
    from rdkit import Chem

    return Chem.MolToSmiles(read_molecule(smiles), isomericSmiles=isomeric)


def identify(smiles: str) -> str:
    """What is the same for all spellings of a molecule, and for no other: canonical SMILES without atom maps.

    RDKit's canonical SMILES of a canonical SMILES is another one for some molecules, so that it is taken again until
    it stays. Where it goes round in a circle, it is the circle's first in the order of the alphabet.

    Raises:
        MoleculeError: RDKit cannot parse the SMILES.
    """
    from rdkit import Chem

    mol = read_molecule(smiles)
    for atom in mol.GetAtoms():
        atom.SetAtomMapNum(0)
    text, seen = Chem.MolToSmiles(mol), []
    while text not in seen:
        seen.append(text)
        mol = Chem.MolFromSmiles(text)
        if mol is None:  # RDKit does not read all that it writes
            return text
        text = Chem.MolToSmiles(mol)
    return min(seen[seen.index(text) :])


def without_maps(smiles: str) -> str:
    """A SMILES as it is, or, where it numbers atoms, that of :func:`identify`."""
    return identify(smiles) if NUMBERED.search(smiles) else smiles
