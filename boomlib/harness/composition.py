"""What a molecule is made of."""

import numpy as np

from boomlib.harness.columns import stack_columns
from boomlib.harness.interface import Molecules


def count_elements(molecules: Molecules) -> np.ndarray:
    """Atoms of each element, hydrogens included, float64 [n, 118]; from the feature ``elements``."""
    return stack_columns(molecules.features["elements"])


def count_shares(molecules: Molecules) -> np.ndarray:
    """Each element's share of all atoms, float64 [n, 118]."""
    counts = count_elements(molecules)
    return counts / counts.sum(axis=1, keepdims=True)
