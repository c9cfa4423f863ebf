"""What a model learns in place of a property: of a density the molar volume, which adds up over atoms; of what a
quantum-chemical method tells itself, by how much the method is off.

That difference is smaller than the property and much the same everywhere, so that a model which knows it can be asked
far from train (Δ-machine learning: Ramakrishnan, Dral, Rupp & von Lilienfeld, J. Chem. Theory Comput. 11, 2087, 2015).
Volume increments of atoms in crystals: Immirzi & Perini, Acta Cryst. A 33, 216 (1977); of groups, for the densities of
energetic materials: Ammon & Mitchell, Propellants Explos. Pyrotech. 23, 260 (1998).
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from rdkit import Chem

from boomlib.files import MoleculeError, read_json, write_json
from boomlib.harness.columns import stack_columns
from boomlib.harness.composition import count_elements
from boomlib.harness.interface import Molecules

DENSITY = "mass_density"
ESTIMATES = {"dipole_moment": "dipole", "electronic_spatial_extent": "electronic_extent"}
"""Quantities that a feature like ``xtb`` tells in the property's own unit, and its columns."""
FURTHEST = 2.0  # a density is at most so many times train's largest, and at least train's least over it
REACH = 3.0  # an estimate leaves the range of train's labels by at most so many times its width: it may be wild
TABLE = Chem.GetPeriodicTable()
WEIGHTS = np.array([TABLE.GetAtomicWeight(number) for number in range(1, 119)])


class Quantity:
    """The property itself; of a density, where it is asked for, its volume; of what physics tells, the difference.

    Penalties and epochs are then chosen by the RMSE of what is learnt, which ``history.csv`` shows.

    Args:
        kind: ``extensive`` or ``intensive``, of the property.
        observable: which quantity the property is.
        volume: whether a density is learnt as a volume; any other property is itself all the same.
        physics: a feature like ``xtb``, whose own estimate of the property, if it has one (:data:`ESTIMATES`), is
            taken away, and is not clipped as its columns are; None: of none.

    Attributes:
        kind: of what is learnt.
    """

    def __init__(self, kind: str, observable: str | None, volume: bool, physics: str | None = None) -> None:
        self.is_volume = volume and observable == DENSITY
        self.physics, self.estimate = physics, None if physics is None else ESTIMATES.get(observable or "")
        self.kind = "extensive" if self.is_volume else kind

    def fit(self, train: Molecules) -> "Quantity":
        """Learn how far a density may be from those of train, or what the method mostly tells."""
        if self.is_volume:
            self.least, self.most = float(train.y.min()) / FURTHEST, float(train.y.max()) * FURTHEST
        if self.estimate:
            self.usual = float(np.nanmedian(self.read_estimate(train)))
            low, high = float(train.y.min()), float(train.y.max())
            self.low, self.high = low - REACH * (high - low), high + REACH * (high - low)
        return self

    def read_estimate(self, molecules: Molecules) -> np.ndarray:
        """What the method itself says of the property, float64 [n], its unit; NaN where it has no answer."""
        return stack_columns(molecules.features[self.physics].select([self.estimate]))[:, 0]

    def tell_estimate(self, molecules: Molecules) -> np.ndarray:
        """The same within reach; of molecules without an answer train's median."""
        found = self.read_estimate(molecules)
        return np.clip(np.where(np.isnan(found), self.usual, found), self.low, self.high)

    def learn(self, molecules: Molecules) -> Molecules:
        """The molecules labelled with what is learnt: molecular weight over density, cm³/mol if that is in g/cm³.

        Raises:
            MoleculeError: a density is not positive.
        """
        if self.estimate:
            return replace(molecules, y=molecules.y - self.tell_estimate(molecules))
        if not self.is_volume:
            return molecules
        if (molecules.y <= 0).any():
            raise MoleculeError(
                f"{(molecules.y <= 0).sum()} molecules have a density of 0 or less, and so no volume; remove their "
                "rows, or `observable: mass_density` if it is no density",
                molecules.smiles[molecules.y <= 0],
            )
        return replace(molecules, y=weigh(molecules) / molecules.y)

    def weights(self, molecules: Molecules) -> np.ndarray | None:
        """How much a molecule's squared error counts, float64 [n]; None: all alike.

        An error of a density is one of the volume in relation to the volume, and so to the weight of the molecule.
        """
        return weigh(molecules) ** -2.0 if self.is_volume else None

    def tell(self, molecules: Molecules, values: np.ndarray) -> np.ndarray:
        """The property of molecules, native units, of what was learnt of them; both float64 [n]."""
        if self.estimate:
            return values + self.tell_estimate(molecules)
        if not self.is_volume:
            return values
        mass = weigh(molecules)
        return mass / np.clip(values, mass / self.most, mass / self.least)

    def save(self, folder: Path) -> None:
        """Write ``quantity.json``, if there is anything to remember."""
        if self.is_volume:
            write_json(folder / "quantity.json", {"least": self.least, "most": self.most})
        if self.estimate:
            write_json(folder / "quantity.json", {"usual": self.usual, "low": self.low, "high": self.high})

    def load(self, folder: Path) -> None:
        """Read it."""
        if self.is_volume:
            fitted = read_json(folder / "quantity.json")
            self.least, self.most = fitted["least"], fitted["most"]
        if self.estimate:
            fitted = read_json(folder / "quantity.json")
            self.usual, self.low, self.high = fitted["usual"], fitted["low"], fitted["high"]


def weigh(molecules: Molecules) -> np.ndarray:
    """Molecular weights, g/mol, float64 [n]; isotopes count as their element."""
    return count_elements(molecules) @ WEIGHTS
