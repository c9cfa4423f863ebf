"""What a molecule is made of, and what a property is by that alone; a network learns the rest."""

from typing import Literal

import numpy as np

from boomlib.harness.columns import stack_columns
from boomlib.harness.interface import Molecules

Reference = Literal["elements", "mean", "none"]


def count_elements(molecules: Molecules) -> np.ndarray:
    """Atoms of each element, hydrogens included, float64 [n, 118]; from the feature ``elements``."""
    return stack_columns(molecules.features["elements"])


def count_shares(molecules: Molecules) -> np.ndarray:
    """Each element's share of all atoms, float64 [n, 118]."""
    counts = count_elements(molecules)
    return counts / counts.sum(axis=1, keepdims=True)


class References:
    """Fitted on train; what is left of the labels is learnt in standard deviations.

    ``elements``: a contribution of each element by linear least squares, summed over atoms for an extensive property
    and averaged for an intensive one. For an extensive one these are the E0s of MACE (Batatia et al., arXiv
    2206.07697, fitted as by its option ``average``): the network need not learn that larger molecules have more of
    it, which is most of what there is to extrapolate. ``mean``: the mean of train's labels, for every molecule.
    ``none``: nothing; for a network whose answer is a norm or a moment, which no constant may shift.

    Args:
        reference: ``elements``, ``mean`` or ``none``.
        kind: ``extensive`` or ``intensive``.
    """

    def __init__(self, reference: Reference, kind: str) -> None:
        self.reference, self.kind = reference, kind
        self.contributions, self.spread = np.zeros(0), 1.0

    def design(self, molecules: Molecules) -> np.ndarray:
        """Columns of the linear fit, float64 [n, columns]: 118 for ``elements``, 1 for ``mean``, 0 for ``none``."""
        if self.reference == "elements":
            return count_elements(molecules) if self.kind == "extensive" else count_shares(molecules)
        return np.ones((len(molecules), int(self.reference == "mean")))

    def fit(self, train: Molecules) -> "References":
        """Fit to train's labels; an element that train lacks contributes nothing."""
        design = self.design(train)
        self.contributions = np.linalg.lstsq(design, train.y)[0]
        self.spread = float(np.std(train.y - design @ self.contributions)) or 1.0
        return self

    def transform(self, molecules: Molecules) -> np.ndarray:
        """Standardised residuals of labels, float64 [n]."""
        return (molecules.y - self.design(molecules) @ self.contributions) / self.spread

    def inverse(self, molecules: Molecules, z: np.ndarray) -> np.ndarray:
        """Labels of standardised residuals, native units, float64 [n]."""
        return self.design(molecules) @ self.contributions + self.spread * z

    def as_dict(self) -> dict:
        """What was fitted, ready for JSON, which keeps every digit."""
        return {"contributions": self.contributions.tolist(), "spread": self.spread}

    def restore(self, fitted: dict) -> None:
        """Be what :meth:`as_dict` has told."""
        self.contributions, self.spread = np.array(fitted["contributions"]), fitted["spread"]
