"""RDKit's molecular descriptors (rdkit.Chem.Descriptors), one float64 column each, named as in RDKit.

A value that RDKit cannot compute is NaN; models decide what to do with it.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from rdkit import Chem
from rdkit.Chem import Descriptors

NAMES = tuple(name for name, _ in Descriptors.descList)


def compute(smiles: Sequence[str]) -> dict[str, pa.Array]:
    """All descriptors of molecules given by their SMILES."""
    values = np.empty((len(smiles), len(NAMES)))
    for row, text in enumerate(smiles):
        found = Descriptors.CalcMolDescriptors(Chem.MolFromSmiles(text), missingVal=np.nan)
        values[row] = [found[name] for name in NAMES]
    return {name: pa.array(values[:, column]) for column, name in enumerate(NAMES)}
