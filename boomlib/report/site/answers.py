"""What the models of a task say of its tested molecules, in one order of molecules."""

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from boomlib.contracts import property_values, read_molecules, read_split
from boomlib.evaluation.comparison import COMPARED
from boomlib.evaluation.hardest import read_aligned, scale_errors
from boomlib.report.site.source import Source


@dataclass(frozen=True)
class Answers:
    """A task's molecules and the predictions of the models that have finished it.

    Attributes:
        y: labels of all molecules, float64 [n].
        fold: str [n].
        tested: positions of the molecules of ID and OOD, int64 [tested].
        smiles: of these.
        first: by model, the predictions of its first finished seed for these, float64 [tested].
        seeds: by model, which seed that is.
        mean: by model, the mean over its finished seeds, float64 [tested].
    """

    y: np.ndarray
    fold: np.ndarray
    tested: np.ndarray
    smiles: list[str]
    first: dict[str, np.ndarray] = field(default_factory=dict)
    seeds: dict[str, int] = field(default_factory=dict)
    mean: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def labels(self) -> np.ndarray:
        """Labels of the tested molecules."""
        return self.y[self.tested]

    @property
    def folds(self) -> np.ndarray:
        """Folds of the tested molecules."""
        return self.fold[self.tested]

    def judge(self, left_out: Collection[str]) -> tuple[np.ndarray, np.ndarray]:
        """How wrong models are on each tested molecule, as :func:`boomlib.evaluation.hardest.list_hardest` judges.

        Args:
            left_out: models that do not count.

        Returns:
            The predictions that count, float64 [models, tested], and the median over them of the error over the
            model's RMSE on the fold, float64 [tested]; 0 of no models.
        """
        predictions = [y_pred for model, y_pred in self.mean.items() if model not in left_out]
        if not predictions:
            return np.empty((0, len(self.tested))), np.zeros(len(self.tested))
        stacked = np.stack(predictions)
        return stacked, np.median(scale_errors(self.labels, self.folds, stacked), axis=0)


def read_answers(source: Source, dataset: str, name: str, scheme: str) -> Answers:
    """The answers to a task of which :meth:`boomlib.report.site.source.Source.has_answers` is true."""
    path = source.results / f"data/{dataset}/molecules.parquet"
    molecules = read_molecules(path)
    fold, _ = read_split(source.results / f"splits/{dataset}/{name}/{scheme}.parquet")
    tested = np.flatnonzero(np.isin(fold, COMPARED))
    smiles = molecules["smiles"].take(pa.array(tested)).to_pylist()
    answers = Answers(property_values(molecules, name, path), fold, tested, smiles)
    for model, seeds in source.group_runs(dataset, name, scheme).items():
        paths = [source.results / f"predictions/{run.stem}.parquet" for run in seeds]
        found = [read_aligned(path, fold, molecules) for path in paths]
        answers.first[model], answers.seeds[model] = found[0][tested], seeds[0].seed
        answers.mean[model] = np.mean(found, axis=0)[tested]
    return answers
