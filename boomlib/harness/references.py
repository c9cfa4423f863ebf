"""What a property is by composition alone; a network learns the rest."""

import numpy as np

REFERENCES = ("elements", "mean", "none")


class References:
    """Fitted on train; what is left of the labels is learnt in standard deviations.

    ``elements``: a contribution of each element by linear least squares, summed over atoms for an extensive property
    and averaged for an intensive one. For an extensive one these are the E0s of MACE (Batatia et al., arXiv
    2206.07697, fitted as by its option ``average``): the network need not learn that larger molecules have more of
    it, which is most of what there is to extrapolate. ``mean``: the mean of train's labels, for every molecule.
    ``none``: nothing; for a network whose answer is a norm or a moment, which no constant may shift.

    A composition is float64 [molecules, elements]: atoms of each element for an extensive property, their fraction of
    all atoms for an intensive one.

    Args:
        reference: ``elements``, ``mean`` or ``none``.
    """

    def __init__(self, reference: str) -> None:
        if reference not in REFERENCES:
            raise ValueError(f"reference is '{reference}'; known: {', '.join(REFERENCES)}")
        self.reference = reference

    def design(self, composition: np.ndarray) -> np.ndarray:
        """Columns of the linear fit, float64 [molecules, elements, 1 or 0]."""
        return (
            composition if self.reference == "elements" else np.ones((len(composition), int(self.reference == "mean")))
        )

    def fit(self, composition: np.ndarray, y: np.ndarray) -> "References":
        """Fit to train's labels, native units [molecules]."""
        design = self.design(composition)
        self.contributions = np.linalg.lstsq(design, y)[0]
        self.spread = float(np.std(y - design @ self.contributions)) or 1.0
        return self

    def transform(self, composition: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Standardised residuals of labels, float64 [molecules]."""
        return (y - self.design(composition) @ self.contributions) / self.spread

    def inverse(self, composition: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Labels of standardised residuals, native units, float64 [molecules]."""
        return self.design(composition) @ self.contributions + self.spread * z
