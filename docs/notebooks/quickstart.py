# %% [markdown]
# # Quickstart: your model on a task of the benchmark
#
# A *task* is a property of a dataset with a split: molecules to learn from, and molecules to predict, half of the
# question being those that are unlike anything in training (OOD). Here it is the heat of formation of the 10K CSD
# molecules with BOOM's split, `kde`: OOD are the molecules whose *value* is rare.

# %%
import numpy as np
import pandas as pd
from IPython.display import display
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import boomlib

task = boomlib.load_task("csd10k/hof", scheme="kde")
print(task)

# %% [markdown]
# What the checkout lacks has just been made by the workflow, with a line a job: the data are downloaded, checked and
# split. The next call reads the same files at once. `train` and `valid` have labels; `test`, ID and OOD together, has
# none.

# %%
display(pd.DataFrame({"smiles": task.train.smiles, f"y ({task.unit})": task.train.y}).head())
print(hasattr(task.test, "y"))

# %% [markdown]
# ## Fit
#
# Features are tables of the workflow, a row a molecule, computed once they are asked for; you may as well compute
# your own from `smiles`. Scikit-learn's ridge regression gets the counts of elements and the 166 MACCS keys. The
# penalty is chosen on `valid`, as all models of the benchmark do.


# %%
def read_inputs(part):
    """Counts of elements and MACCS keys of some molecules, a row each."""
    return np.hstack([part.features("elements"), part.features("maccs")])


def fit(penalty):
    """A ridge regression on train."""
    return make_pipeline(StandardScaler(), Ridge(penalty)).fit(read_inputs(task.train), task.train.y)


def find_error(model):
    """RMSE on valid."""
    return np.sqrt(np.mean((model.predict(read_inputs(task.valid)) - task.valid.y) ** 2))


models = {penalty: fit(penalty) for penalty in (0.1, 1, 10, 100, 1000)}
errors = pd.Series(
    {penalty: find_error(model) for penalty, model in models.items()}, name=f"RMSE on valid ({task.unit})"
)
model = models[errors.idxmin()]
display(errors.rename_axis("penalty").round(3).to_frame())

# %% [markdown]
# ## Score
#
# `evaluate` computes what the leaderboard shows: every metric on ID and OOD with its 95 % interval over molecules.
# The part of OOD outside of the range of the training labels is `ood_tail`, the rest `ood_interior`. Predictions of
# other molecules, missing ones or NaN are named and refused.

# %%
scores = task.evaluate(model.predict(read_inputs(task.test)))
display(scores.xs("rmse", level="metric").round(2))
display(scores.loc["ood", ["value", "low", "high"]].round(3))

# %% [markdown]
# ## Beside the leaderboard
#
# The table of a published page: RMSE on ID and OOD, the controls last.

# %%
board = boomlib.leaderboard(task.name, page="csd10k")
display(board[["label", "id", "ood", "ood_low", "ood_high", "ood_id_ratio"]].round(2))

# %% [markdown]
# Three things to look at. The model against *train mean*, which has learnt nothing. OOD against ID: how much is lost
# where values are rare. And against the random forest, which cannot predict a value that it has not seen: a linear
# model can, and so a simple one is ahead of it on OOD.
#
# A row of one's own goes into the table of this checkout's results, which are of the same version of the benchmark
# and of the same split, or it is refused: `task.compare(scores, "Ridge on MACCS keys")` after `snakemake --cores 4
# results/leaderboard.md --configfile config/csd10k.yaml`. How a model becomes a row that everybody can make again is
# in [own_model](own_model.ipynb).
