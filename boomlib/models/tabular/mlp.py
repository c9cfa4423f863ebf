"""Multi-layer perceptron on RDKit descriptors (scikit-learn), the epoch with the best RMSE on valid kept."""

import copy
from pathlib import Path

import numpy as np
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler

from boomlib.harness.design import Winsorized, read_descriptors
from boomlib.harness.interface import Model, Molecules, Prediction, write_history
from boomlib.harness.saving import read_objects, write_objects


class MLP(Model):
    """Perceptron on winsorised, standardised descriptors; labels are z-scored on train.

    Args:
        hidden: units of each hidden layer.
        learning_rate: Adam's step.
        batch: molecules a step.
        weight_decay: L2 penalty (scikit-learn's ``alpha``).
        epochs: at most so many passes over train.
        patience: stop after so many epochs without a better RMSE on valid.
        margin: how far descriptors may leave train's range, in widths of it.
    """

    def __init__(
        self,
        *,
        hidden: list[int],
        learning_rate: float,
        batch: int,
        weight_decay: float,
        epochs: int,
        patience: int,
        margin: float,
        **common,
    ) -> None:
        super().__init__(**common)
        self.epochs, self.patience = epochs, patience
        self.winsorized, self.x_scaler, self.y_scaler = Winsorized(margin), StandardScaler(), StandardScaler()
        self.network = MLPRegressor(
            hidden_layer_sizes=tuple(hidden),
            learning_rate_init=learning_rate,
            batch_size=batch,
            alpha=weight_decay,
            # a generator, not a seed: with a seed scikit-learn would shuffle every epoch in the same way
            random_state=np.random.RandomState(self.seed),
        )

    def columns(self, molecules: Molecules) -> np.ndarray:
        """Scaled descriptors, [n, columns]."""
        return self.x_scaler.transform(self.winsorized.transform(read_descriptors(molecules)))

    def fit(self, train: Molecules, valid: Molecules, folder: Path) -> None:
        """Train epoch by epoch; ``history.csv`` holds the RMSE on valid of each."""
        values = read_descriptors(train)
        x = self.x_scaler.fit_transform(self.winsorized.fit(values).transform(values))
        y = self.y_scaler.fit_transform(train.y[:, None])[:, 0]
        network, history, best = self.network, [], (np.inf, 0)
        # one batch must not exceed the data, and partial_fit does not clip it itself
        network.batch_size = min(network.batch_size, len(y))
        for epoch in range(1, self.epochs + 1):
            network.partial_fit(x, y)
            rmse = float(np.sqrt(np.mean((self.predict_with(network, valid) - valid.y) ** 2)))
            history.append((epoch, network.loss_, rmse))
            if rmse < best[0]:
                best, self.network = (rmse, epoch), copy.deepcopy(network)
            if epoch - best[1] >= self.patience:
                break
        write_history(folder, ("epoch", "train_loss", "valid_rmse"), history)

    def predict_with(self, network: MLPRegressor, molecules: Molecules) -> np.ndarray:
        """Predictions of a network in native units, float64 [n]."""
        return self.y_scaler.inverse_transform(network.predict(self.columns(molecules))[:, None])[:, 0]

    def predict(self, molecules: Molecules) -> Prediction:
        """Predictions of the best epoch."""
        return Prediction(self.predict_with(self.network, molecules))

    def save(self, folder: Path) -> None:
        """Write scalers and network."""
        write_objects((self.winsorized, self.x_scaler, self.y_scaler, self.network), folder / "model.skops")

    def load(self, folder: Path) -> None:
        """Read scalers and network."""
        self.winsorized, self.x_scaler, self.y_scaler, self.network = read_objects(folder / "model.skops")
