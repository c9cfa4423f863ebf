"""What a property is by a simple model that is fitted to train first; a network learns the rest."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Literal

import numpy as np

from boomlib.files import read_json, write_json
from boomlib.harness.composition import count_elements, count_shares
from boomlib.harness.design import Blocks, LinearDesign
from boomlib.harness.interface import Molecules
from boomlib.harness.physics import Physics
from boomlib.harness.ridge import HalfSparseRows, fit_ridge
from boomlib.harness.saving import read_objects, write_objects

Reference = Literal["elements", "mean", "none", "ridge", "physics", "physics_embedded"]
FEATURES = ("elements", "descriptors", "morgan_counts")
"""Feature tables that a ridge regression reads, see :func:`boomlib.declared.check_features`."""
PHYSICS = {"ridge": None, "physics": "xtb", "physics_embedded": "xtb_embedded"}
"""The references that are ridge regressions, and the feature with columns of physics that each reads as well."""
# as in config/models/ridge.yaml
RADIUS, MIN_MOLECULES, MARGIN = 1, 3, 1.0
PENALTIES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000, 10000)


class References(ABC):
    """Fitted on train; what is left of the labels is learnt in standard deviations.

    ``elements``, ``mean`` and ``none`` are :class:`CompositionReferences`; ``ridge``, ``physics`` and
    ``physics_embedded`` are :class:`RidgeReferences`.
    """

    spread: float = 1.0
    """One standard deviation of what is left on train, native units."""

    @abstractmethod
    def fit_transform(self, train: Molecules, valid: Molecules) -> np.ndarray:
        """Fit to train's labels; returns what a network learns there, standardised residuals, float64 [n]."""

    @abstractmethod
    def predict(self, molecules: Molecules) -> np.ndarray:
        """What molecules have by the reference alone, native units, float64 [n]."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write what was fitted."""

    @abstractmethod
    def load(self, folder: Path) -> None:
        """Read it."""

    def transform(self, molecules: Molecules) -> np.ndarray:
        """Standardised residuals of labels, float64 [n]."""
        return (molecules.y - self.predict(molecules)) / self.spread

    def inverse(self, molecules: Molecules, z: np.ndarray) -> np.ndarray:
        """Labels of standardised residuals, native units, float64 [n]."""
        return self.predict(molecules) + self.spread * z


class CompositionReferences(References):
    """What the elements, or the mean, explain.

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
        self.contributions = np.zeros(0)

    def design(self, molecules: Molecules) -> np.ndarray:
        """Columns of the linear fit, float64 [n, columns]: 118 for ``elements``, 1 for ``mean``, 0 for ``none``."""
        if self.reference == "elements":
            return count_elements(molecules) if self.kind == "extensive" else count_shares(molecules)
        return np.ones((len(molecules), int(self.reference == "mean")))

    def fit(self, train: Molecules) -> "CompositionReferences":
        """Fit to train's labels; an element that train lacks contributes nothing."""
        design = self.design(train)
        self.contributions = np.linalg.lstsq(design, train.y)[0]
        self.spread = float(np.std(train.y - design @ self.contributions)) or 1.0
        return self

    def fit_transform(self, train: Molecules, valid: Molecules) -> np.ndarray:
        """The residuals of the fit itself, which has too few columns to overfit."""
        return self.fit(train).transform(train)

    def predict(self, molecules: Molecules) -> np.ndarray:
        """The contributions of what molecules are made of, native units, float64 [n]."""
        return self.design(molecules) @ self.contributions

    def save(self, folder: Path) -> None:
        """Write ``references.json``, which keeps every digit."""
        fitted = {"contributions": self.contributions.tolist(), "spread": self.spread}
        write_json(folder / "references.json", fitted)

    def load(self, folder: Path) -> None:
        """Read it."""
        fitted = read_json(folder / "references.json")
        self.contributions, self.spread = np.array(fitted["contributions"]), fitted["spread"]


class RidgeReferences(References):
    """What a ridge regression explains: the model of config/models/ridge.yaml, its penalty chosen on valid.

    On train a network learns what the regression leaves of each molecule when it is left out of the fit, which is
    exact and free for a linear model of given columns: the residuals of the fit itself are smaller than those that new
    molecules will have.

    Args:
        reference: ``ridge``; or with columns of physics (:class:`boomlib.harness.physics.Physics`) ``physics``, of the
            feature ``xtb``, or ``physics_embedded``, of the feature ``xtb_embedded``.
        kind: ``extensive`` or ``intensive``.
    """

    def __init__(self, reference: Reference, kind: str) -> None:
        feature = PHYSICS[reference]
        more = None if feature is None else Physics(feature, kind, MARGIN)
        self.design = LinearDesign(kind, RADIUS, MIN_MOLECULES, MARGIN, more)

    def fit_transform(self, train: Molecules, valid: Molecules) -> np.ndarray:
        """Fit to train's labels; returns the standardised leave-one-out residuals, float64 [n]."""
        self.design.fit(train)
        x, x_valid = (HalfSparseRows(Blocks(each, self.design.halves)) for each in (train, valid))
        fitted = fit_ridge(x, train.y, x_valid, valid.y, PENALTIES)
        self.weights, self.intercept = fitted.weights, fitted.intercept
        self.spread = float(np.std(fitted.leave_one_out)) or 1.0
        return fitted.leave_one_out / self.spread

    def predict(self, molecules: Molecules) -> np.ndarray:
        """Intercept plus weighted columns, native units, float64 [n]."""
        blocks = Blocks(molecules, self.design.halves)
        return np.concatenate([block @ self.weights for block in blocks]) + self.intercept

    def save(self, folder: Path) -> None:
        """Write ``references.skops``."""
        write_objects((self.design, self.weights, self.intercept, self.spread), folder / "references.skops")

    def load(self, folder: Path) -> None:
        """Read it."""
        self.design, self.weights, self.intercept, self.spread = read_objects(folder / "references.skops")


def make_references(reference: Reference, kind: str) -> References:
    """References of a name, not yet fitted; ``kind`` is ``extensive`` or ``intensive``."""
    return (RidgeReferences if reference in PHYSICS else CompositionReferences)(reference, kind)
