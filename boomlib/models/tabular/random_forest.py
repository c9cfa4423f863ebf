"""Random forest on RDKit descriptors, after BOOM's ``experiments/random-forest``."""

from pathlib import Path
from typing import Literal

from sklearn.ensemble import RandomForestRegressor

from boomlib.harness.design import Winsorized, read_descriptors
from boomlib.harness.interface import Model, Molecules, Prediction
from boomlib.harness.saving import read_objects, write_objects
from boomlib.models.tabular.trees import Trees, find_unit


class RandomForest(Model):
    """scikit-learn's forest; trees cannot predict beyond the labels of train.

    Args:
        drop: descriptors left out, by name.
        trees: number of trees.
        max_features: features tried at each split, as scikit-learn takes it.
    """

    def __init__(
        self, *, drop: list[str], trees: int, max_features: Literal["sqrt", "log2"] | float | None, **common
    ) -> None:
        super().__init__(**common)
        self.drop = drop
        self.gaps = Winsorized(margin=0.0)
        self.forest = Trees(
            RandomForestRegressor(trees, max_features=max_features, random_state=self.seed, n_jobs=self.threads)
        )

    def columns(self, molecules: Molecules):
        """Descriptors but the dropped ones, [n, columns]."""
        names = molecules.features["descriptors"].column_names
        return read_descriptors(molecules)[:, [name not in self.drop for name in names]]

    def fit(self, train: Molecules, valid: Molecules, folder: Path) -> None:
        """Grow the trees on train; there is nothing to choose on valid."""
        values = self.columns(train)
        self.forest.fit(self.gaps.fit(values).transform(values), train.y, find_unit(train.y))
        # prediction adds up the trees in the order in which threads end: one thread keeps it the same to the bit
        self.forest.estimator.n_jobs = 1

    def predict(self, molecules: Molecules) -> Prediction:
        """Mean over the trees."""
        return Prediction(self.forest.predict(self.gaps.transform(self.columns(molecules))))

    def save(self, folder: Path) -> None:
        """Write the forest."""
        write_objects((self.gaps, self.forest), folder / "model.skops")

    def load(self, folder: Path) -> None:
        """Read the forest."""
        self.gaps, self.forest = read_objects(folder / "model.skops")
