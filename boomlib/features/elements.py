"""Number of atoms of each element, hydrogens included; one column an element, H to Og."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from rdkit import Chem

SYMBOLS = tuple(Chem.GetPeriodicTable().GetElementSymbol(number) for number in range(1, 119))


def compute(smiles: Sequence[str]) -> dict[str, pa.Array]:
    """Element counts (uint16) of molecules given by their SMILES."""
    counts = np.zeros((len(smiles), len(SYMBOLS)), dtype=np.uint16)
    for row, text in enumerate(smiles):
        for atom in Chem.MolFromSmiles(text).GetAtoms():
            if atom.GetAtomicNum():
                counts[row, atom.GetAtomicNum() - 1] += 1
            counts[row, 0] += atom.GetTotalNumHs()
    return {symbol: pa.array(counts[:, column]) for column, symbol in enumerate(SYMBOLS)}
