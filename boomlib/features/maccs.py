"""The 166 public MACCS keys as RDKit implements them (rdkit.Chem.MACCSkeys), one 0/1 column a key."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from rdkit import Chem
from rdkit.Chem import MACCSkeys

KEYS = range(1, 167)


def compute(smiles: Sequence[str]) -> dict[str, pa.Array]:
    """MACCS keys (uint8) of molecules given by their SMILES."""
    bits = np.zeros((len(smiles), 167), dtype=np.uint8)
    for row, text in enumerate(smiles):
        bits[row, list(MACCSkeys.GenMACCSKeys(Chem.MolFromSmiles(text)).GetOnBits())] = 1
    return {f"maccs_{key}": pa.array(bits[:, key]) for key in KEYS}
