"""Bemis–Murcko scaffolds (J. Med. Chem. 39, 2887, 1996) as canonical SMILES; empty for acyclic molecules."""

from collections.abc import Sequence

import pyarrow as pa
from rdkit import Chem
from rdkit.Chem.Scaffolds import MurckoScaffold


def compute(smiles: Sequence[str]) -> dict[str, pa.Array]:
    """The scaffold of molecules given by their SMILES; stereochemistry does not count."""
    scaffolds = [MurckoScaffold.MurckoScaffoldSmiles(mol=Chem.MolFromSmiles(text)) for text in smiles]
    return {"scaffold": pa.array(scaffolds, pa.string())}
