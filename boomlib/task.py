"""A task of the benchmark in Python: molecules to train on, molecules to predict, and the scores of predictions."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import pyarrow as pa

from boomlib import registry, schemas
from boomlib.contracts import TASK, read_molecules, read_split, read_table, read_truth
from boomlib.evaluation.answers import TEST, Answers, align_answers
from boomlib.evaluation.score import describe_benchmark, score
from boomlib.evaluation.summary import list_measurements
from boomlib.files import ContractError, StrPath
from boomlib.harness.interface import Molecules
from boomlib.harness.job import read_task
from boomlib.on_demand import find_checkout, make_missing
from boomlib.report.standings import compare
from boomlib.strict_yaml import read_yaml


def load_task(
    name: str, scheme: str = "kde", *, folder: StrPath | None = None, configfile: StrPath | None = None
) -> "Task":
    """Load a task, as the workflow makes it.

    Molecules, split and task table are files of ``results/``. One that is there is read as it is, whatever has changed
    since: delete it, or give Snakemake's command, for a new one. What is missing Snakemake makes, in the checkout, and
    that can take a while: source files are downloaded, or found in the mirror.

    Args:
        name: ``dataset/property``.
        scheme: how molecules become out-of-distribution, a module of ``boomlib/splits``.
        folder: the checkout; None for that of this boomlib.
        configfile: the configuration with a dataset of your own, relative to the checkout; None for
            ``config/config.yaml``.

    Raises:
        ContractError: the task or the scheme is unknown, the folder no checkout, or a file cannot be made; the message
            says why.
    """
    root = find_checkout(folder)
    path = root / (configfile or "config/config.yaml")
    datasets, _ = registry.with_own_datasets(
        *registry.load_datasets(root / "config/datasets.yaml"), read_yaml(path), str(path)
    )
    dataset, slash, property_name = name.partition("/")
    if not slash:
        raise ContractError(f"task {name}: a task is a property of a dataset; give dataset/property, as csd10k/hof")
    registry.check_known("dataset", dataset, datasets, f"task {name}")
    properties = datasets[dataset]["properties"]
    registry.check_known(f"property of {dataset}", property_name, properties, f"task {name}")
    registry.check_known("scheme", scheme, schemas.list_modules("splits", "assign", root), f"task {name}")
    return Task(root, dataset, property_name, scheme, properties[property_name], configfile)


class Task:
    """A property of a dataset with a split.

    Attributes:
        dataset, property, scheme: its names.
        unit: the property's unit.
        kind: ``extensive`` (it grows with the molecule) or ``intensive``.
        split: the hash of the molecules and their folds; scores are comparable where it is the same.
        observable: which quantity it is, for models that know it (:class:`boomlib.harness.interface.Model`).
        train, valid: molecules with labels, to fit and to choose by.
        test: the molecules to predict, ID and OOD together, without labels.
        all: these three together, without labels.
        fold: of these, str [n].
        files: where the molecules table (with all labels), the split and the task table are, by these names
            (``molecules``, ``split``, ``task``).
    """

    def __init__(
        self,
        root: Path,
        dataset: str,
        property_name: str,
        scheme: str,
        entry: Mapping[str, Any],
        configfile: StrPath | None = None,
    ) -> None:
        """See :func:`load_task`; ``entry`` is the registry's of the property."""
        self.dataset, self.property, self.scheme = dataset, property_name, scheme
        self.unit: str = entry["unit"]
        self.kind: str = entry["kind"]
        self.observable: str | None = entry.get("observable")
        self.folder, self.configfile = root, configfile
        made = {
            "molecules": f"results/data/{dataset}/molecules.parquet",
            "split": f"results/splits/{self.name}/{scheme}.parquet",
            "task": f"results/tasks/{self.name}/{scheme}.parquet",
        }
        make_missing(root, list(made.values()), configfile)
        self.files = {name: root / file for name, file in made.items()}
        self.split = check_files(self.files)
        self.tables: dict[str, pa.Table] = {}
        molecules, fold = read_task(self.files["task"], {})
        self.all = Part(self, molecules)
        self.fold = fold
        self.train, self.valid = (LabelledPart(self, molecules.take(fold == each)) for each in ("train", "valid"))
        self.test = Part(self, molecules.take(np.isin(fold, TEST)))

    @property
    def name(self) -> str:
        """``dataset/property``."""
        return f"{self.dataset}/{self.property}"

    def __repr__(self) -> str:
        sizes = ", ".join(f"{each} {len(getattr(self, each)):,}" for each in ("train", "valid", "test"))
        return f"{self.name} ({self.unit}, {self.kind}), {self.scheme} split: {sizes} molecules"

    def read_feature(self, name: str) -> pa.Table:
        """A feature table, a row a molecule of the task; the workflow makes it if it is not there.

        Raises:
            ContractError: the feature is unknown, cannot be made, or lacks molecules.
        """
        if name not in self.tables:
            known = schemas.list_modules("features", "compute", self.folder)
            registry.check_known("feature", name, known, f"task {self.name}")
            file = f"results/features/{self.dataset}/{name}.parquet"
            made = [path.relative_to(self.folder).as_posix() for path in self.files.values()]
            make_missing(self.folder, [file], self.configfile, beside=made)
            self.check_same()
            self.tables[name] = read_task(self.files["task"], {name: self.folder / file})[0].features[name]
        return self.tables[name]

    def check_same(self) -> None:
        """Raise :class:`ContractError` if the files of the task are not those any more that it was loaded from."""
        if check_files(self.files) != self.split:
            raise ContractError(f"{self.files['split']}: another split than when the task was loaded; load it again")

    def evaluate(self, predictions: Answers) -> pd.DataFrame:
        """Score predictions as the workflow does: the same numbers, with 95 % bootstrap intervals over molecules.

        Args:
            predictions: in the property's unit, for all of :attr:`test`, and for all of :attr:`valid` or none of it,
                in one of the forms of :func:`boomlib.evaluation.answers.align_answers`.

        Returns:
            By ``fold`` and ``metric`` the ``value`` with its interval, ``low`` and ``high``, its ``unit`` and
            ``n_molecules``; NaN where undefined. ``valid`` is left out if it was not predicted.

        Raises:
            ContractError: predictions are missing, doubled, unknown or not finite; or the files of the task are not
                those any more that it was loaded from.
        """
        y_task = align_answers(predictions, self.all.molecule_id, self.all.smiles, self.fold)
        self.check_same()
        y, fold, _ = read_truth(self.files["molecules"], self.files["split"], self.property)
        y_pred = np.full(len(y), np.nan)
        y_pred[self.all.molecule_id] = y_task
        scores = {"unit": self.unit} | score(y, fold, y_pred)
        if np.isnan(y_task[self.fold == "valid"]).all():
            del scores["folds"]["valid"]
        rows = [
            (each, metric, value, low, high, unit, n)
            for each, metric, unit, _, n, (value, low, high) in list_measurements(scores)
        ]
        columns = ["fold", "metric", "value", "low", "high", "unit", "n_molecules"]
        return pd.DataFrame(rows, columns=columns).set_index(["fold", "metric"])

    def compare(self, scores: pd.DataFrame, label: str = "yours", *, page: str | None = None) -> pd.DataFrame:
        """The leaderboard of this task with a row for the ``scores`` of :meth:`evaluate`.

        See :func:`boomlib.report.standings.leaderboard` for the columns, and for ``page``.

        Raises:
            ContractError: there is no leaderboard of this task, or one of another version of the benchmark or split.
        """
        place = {"scheme": self.scheme, "split": self.split}
        return compare(scores, label, self.name, **place, page=page, folder=self.folder)


class Part:
    """Some molecules of a task, without labels.

    Attributes:
        molecule_id: int64 [n], ascending.
        smiles: str [n].
    """

    def __init__(self, task: Task, molecules: Molecules) -> None:
        self.task, self.molecules = task, molecules
        self.molecule_id, self.smiles = molecules.molecule_id, molecules.smiles

    def __len__(self) -> int:
        return len(self.molecule_id)

    def __repr__(self) -> str:
        labelled = "with" if isinstance(self, LabelledPart) else "without"
        return f"<{len(self)} molecules of {self.task.name}, {labelled} labels>"

    def __getattr__(self, name: str) -> NoReturn:
        hint = "; labels of test are told to nobody: task.evaluate scores predictions" if name == "y" else ""
        raise AttributeError(f"molecules of a task have no {name}{hint}")

    def features(self, name: str) -> pd.DataFrame:
        """A feature table, a row a molecule in the order of :attr:`smiles`, by molecule_id.

        The workflow makes it if it is not there (:meth:`Task.read_feature`).
        """
        table: pd.DataFrame = self.with_features(name).features[name].to_pandas()
        return table.set_axis(self.molecule_id)

    def with_features(self, *names: str) -> Molecules:
        """These molecules with some feature tables, as a model of boomlib takes them; labels of test are NaN."""
        rows = pa.array(np.searchsorted(self.task.all.molecule_id, self.molecule_id))
        return replace(self.molecules, features={name: self.task.read_feature(name).take(rows) for name in names})


class LabelledPart(Part):
    """Molecules of a task with their labels.

    Attributes:
        y: labels in the property's unit, float64 [n].
    """

    def __init__(self, task: Task, molecules: Molecules) -> None:
        super().__init__(task, molecules)
        self.y = molecules.y


def check_files(files: Mapping[str, Path]) -> str:
    """The hash of the split of a task's files, see :func:`boomlib.evaluation.score.describe_benchmark`.

    Raises:
        ContractError: one of them is of other molecules than the others, as after a change of the source.
    """
    molecules, task = read_molecules(files["molecules"]), read_table(files["task"], TASK)
    fold, _ = read_split(files["split"])
    ids = task["molecule_id"].to_numpy()
    alike = len(fold) == len(molecules) and (not len(ids) or ids[-1] < len(fold))
    if not (
        alike
        and molecules["smiles"].take(pa.array(ids)).to_pylist() == task["smiles"].to_pylist()
        and fold[ids].tolist() == task["fold"].to_pylist()
    ):
        raise ContractError(
            f"{files['task']}: of other molecules or folds than {files['molecules']} and {files['split']}, one of "
            "which has been made anew since; delete the three files, and load the task again"
        )
    return describe_benchmark(molecules, fold)["split"]
