"""Ridge regression, then gradient-boosted trees on what it leaves: the line extrapolates, the trees refine."""

from pathlib import Path

import numpy as np

from boomlib.harness.interface import Model, Molecules, Prediction
from boomlib.harness.saving import read_objects, write_objects
from boomlib.models.tabular.gradient_boosting import BoostingSettings, make_boosted_trees, stack_tree_columns
from boomlib.models.tabular.ridge import Ridge, RidgeSettings
from boomlib.models.tabular.trees import find_unit


class RidgeBoost(Model):
    """Sum of a ridge regression and of trees fitted to its leave-one-out residuals.

    The residuals of the fit itself are smaller than those that new molecules will have, so trees fitted to
    them would correct too little; leaving each molecule out costs nothing for a linear model.

    Args:
        ridge: see :class:`boomlib.models.tabular.ridge.Ridge`.
        trees: see :class:`boomlib.models.tabular.gradient_boosting.BoostingSettings`.
    """

    def __init__(self, *, ridge: RidgeSettings, trees: BoostingSettings, **common) -> None:
        super().__init__(**common)
        self.ridge = Ridge(**ridge, **common)
        self.trees = make_boosted_trees(self.seed, trees)

    def fit(self, train: Molecules, valid: Molecules, folder: Path) -> None:
        """Fit the ridge, then the trees; both stop or choose by valid."""
        self.ridge.fit(train, valid, folder)
        quantity = self.ridge.quantity
        self.trees.fit(
            self.stack_columns(train),
            self.ridge.leave_one_out_residuals,
            find_unit(quantity.learn(train).y),
            (self.stack_columns(valid), quantity.learn(valid).y - self.ridge.explain(valid)),
        )

    def stack_columns(self, molecules: Molecules) -> np.ndarray:
        """What the trees see: descriptors, elements, and physics if the ridge has them, [n, columns]."""
        columns, more = stack_tree_columns(molecules, self.ridge.quantity.kind), self.ridge.design.more
        return columns if more is None else np.hstack([columns, more.transform(molecules)])

    def predict(self, molecules: Molecules) -> Prediction:
        """Sum of both."""
        both = self.ridge.explain(molecules) + self.trees.predict(self.stack_columns(molecules))
        return Prediction(self.ridge.quantity.tell(molecules, both))

    def save(self, folder: Path) -> None:
        """Write both parts."""
        self.ridge.save(folder)
        write_objects(self.trees, folder / "trees.skops")

    def load(self, folder: Path) -> None:
        """Read both parts."""
        self.ridge.load(folder)
        self.trees = read_objects(folder / "trees.skops")
