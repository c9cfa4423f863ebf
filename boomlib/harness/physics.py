"""What a quantum-chemical method tells of molecules, as columns that a model can extrapolate with."""

import numpy as np

from boomlib.harness.columns import stack_columns
from boomlib.harness.composition import count_elements
from boomlib.harness.design import Winsorized
from boomlib.harness.interface import Molecules

GROWING = ("atomisation_energy", "gfn1_atomisation_energy", "bond_order_sum", "nuclear_extent", "electronic_extent")
"""Columns that grow with the molecule."""
TAILS = 0.001  # see Winsorized


def list_columns(molecules: Molecules, feature: str) -> list[str]:
    """Names of the columns of a feature like ``xtb``, but for its notes."""
    return [name for name in molecules.features[feature].column_names if name != "note"]


def read_physics(molecules: Molecules, feature: str) -> np.ndarray:
    """These columns, float64 [n, columns]; NaN where the method has no answer."""
    return stack_columns(molecules.features[feature].select(list_columns(molecules, feature)))


class Physics:
    """Columns of a feature like ``xtb`` without gaps and wild values. Everything is learnt on train.

    Of what grows with the molecule the part that the elements explain (least squares) is taken away: total energies
    span orders of magnitude, and what tells isomers apart would be lost in the clipping. For an intensive property the
    rest is divided by the number of atoms. Then gaps become medians and values are clipped, as descriptors are
    (:class:`boomlib.harness.design.Winsorized`).

    Args:
        feature: ``xtb`` or ``xtb_embedded``.
        kind: ``extensive`` or ``intensive``.
        margin: how far values may leave train's range, in widths of it.
    """

    def __init__(self, feature: str, kind: str, margin: float) -> None:
        self.feature, self.kind, self.winsorized = feature, kind, Winsorized(margin, TAILS)

    def fit(self, train: Molecules) -> "Physics":
        """Learn what the elements contribute, and each column's range."""
        names = list_columns(train, self.feature)
        self.growing = np.array([names.index(name) for name in GROWING])
        elements, values = count_elements(train), read_physics(train, self.feature)[:, self.growing]
        known = ~np.isnan(values).any(axis=1)
        self.contributions = np.linalg.lstsq(elements[known], values[known], rcond=None)[0]
        # least squares follow a wild value, which then stands out of what they leave: once more without such
        left = values - elements @ self.contributions
        usual = Winsorized(self.winsorized.margin, TAILS).fit(left[known])
        tame = known & (usual.transform(left) == left[:, usual.columns]).all(axis=1)
        self.contributions = np.linalg.lstsq(elements[tame], values[tame], rcond=None)[0]
        self.winsorized.fit(self.relate(train))
        return self

    def relate(self, molecules: Molecules) -> np.ndarray:
        """Columns without what the elements explain, NaN where unknown, [n, columns]."""
        elements, values = count_elements(molecules), read_physics(molecules, self.feature)
        values[:, self.growing] -= elements @ self.contributions
        if self.kind == "intensive":
            values[:, self.growing] /= elements.sum(axis=1, keepdims=True)
        return values

    def transform(self, molecules: Molecules) -> np.ndarray:
        """Filled and clipped columns, float64 [n, columns that vary on train]."""
        return self.winsorized.transform(self.relate(molecules))
