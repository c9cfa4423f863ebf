"""Models made small, and a benchmark of two dozen molecules that they train on."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
from conftest import TINY, make_molecules, write_feature

from boomlib import contracts, registry
from boomlib.external import is_external
from boomlib.harness.job import Job, train_and_predict
from boomlib.harness.keeping import describe_run

# of an external model there are predictions of its own molecules alone
MODELS = {name: model for name, model in registry.load_models().items() if not is_external(model)}
# hyper-parameters of any model, at any depth of its descriptor, that are made smaller to keep these tests fast
SMALL = {
    "trees": 20,
    "epochs": 5,
    "max_iter": 20,
    "min_samples_leaf": 2,
    "hidden": [16],
    "penalties": [0.1, 1, 10],
    "width": 16,
    "heads": 2,
    "depth": 4,
    "message_hidden_dim": 16,
    "ffn_hidden_dim": 16,
    "fast_layers": [1, 3],
    "basis": 8,
    "num_channels": 4,
    "max_L": 0,
    "max_ell": 1,
    "max_num_epochs": 5,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "d_model": 16,
    "n_layer": 2,
    "n_head": 2,
    "d_inner": 16,
}
FOLDS = ["train"] * 14 + ["valid"] * 4 + ["id"] * 3 + ["ood"] * 3
PROPERTY = "size"
CONFIG = {"tasks": [f"tiny/{PROPERTY}"], "datasets": {"tiny": TINY}}


def shrink(parameters: dict) -> dict:
    """The parameters with those of :data:`SMALL`, where they have the same type."""
    return {
        key: shrink(value)
        if isinstance(value, dict)
        else SMALL[key]
        if key in SMALL and isinstance(value, type(SMALL[key]))
        else value
        for key, value in parameters.items()
    }


def small_descriptor(name: str) -> dict:
    """The descriptor of a registered model, made small."""
    return MODELS[name] | {"name": name, "parameters": shrink(MODELS[name]["parameters"])}


def write_benchmark(folder: Path, features: Iterable[str], members: Iterable[str] = ()) -> None:
    """Write the molecules table, the blinded task table, some feature tables and predictions of some members."""
    frame = make_molecules(len(FOLDS))
    smiles, values = frame["smiles"].tolist(), frame[PROPERTY].to_numpy()
    contracts.write_molecules(folder / "molecules.parquet", smiles, {PROPERTY: values}, {PROPERTY: "kcal/mol"})
    fold = np.random.default_rng(1).permutation(FOLDS)
    task = {
        "molecule_id": np.arange(len(FOLDS)),
        "smiles": smiles,
        "fold": contracts.fold_array(fold),
        "y": pa.array(values, mask=np.isin(fold, ("id", "ood"))),
    }
    contracts.write_table(pa.table(task), folder / "task.parquet", contracts.TASK)
    for feature in features:
        write_feature(feature, folder / "molecules.parquet", folder / f"{feature}.parquet")
    asked = np.isin(fold, contracts.PREDICTED_FOLDS)
    for name in members:  # nobody has trained them: labels with errors of their own
        predicted = values + np.random.default_rng(list(name.encode())).normal(size=len(values))
        path = folder / f"predictions/{name}.parquet"
        contracts.write_predictions(path, np.flatnonzero(asked), fold[asked], predicted[asked])


def member_files(descriptor: dict, benchmark: Path) -> dict[str, Path]:
    """The predictions that a model reads."""
    return {name: benchmark / f"predictions/{name}.parquet" for name in registry.list_members(descriptor)}


def feature_files(descriptor: dict, benchmark: Path) -> dict[str, Path]:
    """The feature tables that a model reads."""
    return {name: benchmark / f"{name}.parquet" for name in descriptor["features"]}


class TrainingJob:
    """Runs the training job of a model in a folder: the predictions and the run's folder that it writes."""

    def __init__(self, descriptor: dict, benchmark, folder):
        self.descriptor, self.benchmark = descriptor, benchmark
        self.predictions, self.folder = folder / "seed3.parquet", folder / "seed3"

    def __call__(self, **changes):
        run = {"dataset": "tiny", "property": PROPERTY, "scheme": "kde", "model": self.descriptor["name"]}
        arguments = {
            "task": self.benchmark / "task.parquet",
            "features": feature_files(self.descriptor, self.benchmark),
            "members": member_files(self.descriptor, self.benchmark),
            "predictions": self.predictions,
            "run": self.folder / "run.json",
            "model": {key: self.descriptor[key] for key in ("class", "parameters")},
            "kind": "extensive",
            "property": PROPERTY,
            "seed": 3,
            "truth": self.benchmark / "molecules.parquet" if self.descriptor["sees_truth"] else None,
            "log": "logs/train.log",
            "keep": describe_run(CONFIG | {"models": [run["model"]]}, run),
        } | changes
        train_and_predict(Job(**arguments))
