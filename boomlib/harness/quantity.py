"""What a model learns in place of a property: of a density the molar volume, which adds up over atoms.

Volume increments of atoms in crystals: Immirzi & Perini, Acta Cryst. A 33, 216 (1977); of groups, for the densities of
energetic materials: Ammon & Mitchell, Propellants Explos. Pyrotech. 23, 260 (1998).
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from rdkit import Chem

from boomlib.files import MoleculeError, read_json, write_json
from boomlib.harness.composition import count_elements
from boomlib.harness.interface import Molecules

DENSITY = "mass_density"
FURTHEST = 2.0  # a density is at most so many times train's largest, and at least train's least over it
TABLE = Chem.GetPeriodicTable()
WEIGHTS = np.array([TABLE.GetAtomicWeight(number) for number in range(1, 119)])


class Quantity:
    """The property itself, or of a density, where it is asked for, the molar volume.

    Penalties and epochs are then chosen by the RMSE of volumes, which ``history.csv`` shows.

    Args:
        kind: ``extensive`` or ``intensive``, of the property.
        observable: which quantity the property is.
        volume: whether a density is learnt as a volume; any other property is itself all the same.

    Attributes:
        kind: of what is learnt.
    """

    def __init__(self, kind: str, observable: str | None, volume: bool) -> None:
        self.is_volume = volume and observable == DENSITY
        self.kind = "extensive" if self.is_volume else kind

    def fit(self, train: Molecules) -> "Quantity":
        """Learn how far a density may be from those of train."""
        if self.is_volume:
            self.least, self.most = float(train.y.min()) / FURTHEST, float(train.y.max()) * FURTHEST
        return self

    def learn(self, molecules: Molecules) -> Molecules:
        """The molecules labelled with what is learnt: molecular weight over density, cm³/mol if that is in g/cm³.

        Raises:
            MoleculeError: a density is not positive.
        """
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
        if not self.is_volume:
            return values
        mass = weigh(molecules)
        return mass / np.clip(values, mass / self.most, mass / self.least)

    def save(self, folder: Path) -> None:
        """Write ``quantity.json``, if there is anything to remember."""
        if self.is_volume:
            write_json(folder / "quantity.json", {"least": self.least, "most": self.most})

    def load(self, folder: Path) -> None:
        """Read it."""
        if self.is_volume:
            fitted = read_json(folder / "quantity.json")
            self.least, self.most = fitted["least"], fitted["most"]


def weigh(molecules: Molecules) -> np.ndarray:
    """Molecular weights, g/mol, float64 [n]; isotopes count as their element."""
    return count_elements(molecules) @ WEIGHTS
