# %% [markdown]
# # A model of your own, in Python and on the leaderboard
#
# The class of [docs/own_model.md](../own_model.md), nearest neighbours, here without the workflow: tried in Python
# first, and then, as it is, a row of the leaderboard.

# %%
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import display
from sklearn.neighbors import KNeighborsRegressor

import boomlib
from boomlib.harness.columns import stack_columns
from boomlib.harness.interface import Model, Prediction
from boomlib.harness.saving import read_objects, write_objects


class Nearest(Model):
    """k nearest neighbours by Jaccard distance."""

    def __init__(self, *, neighbours: int, **common):
        super().__init__(**common)
        self.regressor = KNeighborsRegressor(neighbours, metric="jaccard", weights="distance")

    def columns(self, molecules):
        """The keys of molecules, bool [n, 166]."""
        return stack_columns(molecules.features["maccs"]).astype(bool)

    def fit(self, train, valid, folder):
        """Remember train."""
        self.regressor.fit(self.columns(train), train.y)

    def predict(self, molecules):
        """The mean of the neighbours' labels."""
        return Prediction(self.regressor.predict(self.columns(molecules)))

    def save(self, folder):
        """Write what train was."""
        write_objects(self.regressor, folder / "model.skops")

    def load(self, folder):
        """Read it."""
        self.regressor = read_objects(folder / "model.skops")


# %% [markdown]
# `with_features` gives molecules as the workflow hands them to a model, with the tables that the model reads. How
# many neighbours is chosen on `valid`.

# %%
task = boomlib.load_task("csd10k/hof", scheme="kde")
train, valid, test = (part.with_features("maccs") for part in (task.train, task.valid, task.test))
models, errors = {}, {}
with tempfile.TemporaryDirectory() as folder:
    for neighbours in (1, 3, 5, 10, 20):
        models[neighbours] = Nearest(neighbours=neighbours, kind=task.kind, seed=0)
        models[neighbours].fit(train, valid, Path(folder))
        errors[neighbours] = np.sqrt(np.mean((models[neighbours].predict(valid).mean - valid.y) ** 2))
errors = pd.Series(errors, name=f"RMSE on valid ({task.unit})").rename_axis("neighbours")
model = models[errors.idxmin()]
display(errors.round(2).to_frame())

# %%
predicted = model.predict(test).mean
scores = task.evaluate(predicted)
display(scores.xs("rmse", level="metric").round(2))
print(f"labels of train:   {train.y.min():.0f} to {train.y.max():.0f} {task.unit}")
print(f"predicted on test: {predicted.min():.0f} to {predicted.max():.0f} {task.unit}")

# %% [markdown]
# A mean of labels never leaves their range: what lies beyond it (`ood_tail`) cannot be predicted by neighbours,
# however many. That is worth knowing before the model is used on molecules that nobody has measured.
#
# ## A row of the leaderboard
#
# 1. The class, with its imports, becomes `boomlib/models/tabular/nearest.py`.
# 2. `config/models/nearest.yaml` says what it reads and which hyper-parameters it has:
#
# ```yaml
# label: Nearest neighbours
# family: tabular
# class: tabular.nearest.Nearest
# features: [maccs]
# source: Our choice.
# parameters: {neighbours: 5}
# ```
#
# 3. `nearest` stands under `models:` of a configuration, and that configuration's command is given again: `snakemake
#    --cores 4 results/leaderboard.md --configfile config/csd10k.yaml`. Only what is new runs.
# 4. `pytest tests/contract -k nearest` puts it through what every model must do.
#
# Then `boomlib.leaderboard("csd10k/hof")` has it, with a seed a run, intervals, and whether it can be told from the
# best.
