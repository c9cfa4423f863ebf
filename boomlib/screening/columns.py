"""What users get of each model on each task: prediction, spread over seeds, interval and flags, as columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from boomlib.evaluation.applicability import STRUCTURE, Domain
from boomlib.evaluation.conformal import Calibration
from boomlib.harness.kept import KeptPrediction
from boomlib.predict import NOTE, combine, write_notes
from boomlib.screening.answers import Answers


@dataclass(frozen=True)
class Predictor:
    """One model on one task, over its seeds.

    Attributes:
        names: columns of the prediction, its standard deviation and its spread over seeds.
        facts: what ``kept.json`` says of its models, a seed each.
        sources: their names in the store.
        domain: that of the task.
        domain_source: its name in the store.
        judged: its last entry of ``predictors`` of :func:`boomlib.evaluation.uncertainty.judge_uncertainty`.
    """

    names: tuple[str, str, str]
    facts: Sequence[Mapping[str, Any]]
    sources: Sequence[str]
    domain: Domain
    domain_source: str
    judged: Mapping[str, Any]

    @property
    def column(self) -> str:
        """The column of the prediction, by which all others are named."""
        return self.names[0]

    @property
    def ends(self) -> tuple[str, str]:
        """The columns of the ends of the interval."""
        return f"{self.column}_low", f"{self.column}_high"

    @property
    def flags(self) -> str:
        """The column of the names of the flags that are raised."""
        return f"{self.column}_flags"

    @cached_property
    def calibration(self) -> Calibration:
        """How wide the interval is that is offered."""
        return Calibration.from_json(self.judged["intervals"][self.judged["offered"]]["calibration"])

    def read(self, said: Mapping[str, Answers]) -> list[KeptPrediction]:
        """What its models have said of some molecules, a seed each."""
        return [
            KeptPrediction(
                said[name].numbers[:, 0],
                said[name].numbers[:, 1] if facts["tells_std"] else None,
                said[name].reasons,
            )
            for name, facts in zip(self.sources, self.facts, strict=True)
        ]

    def raise_flags(
        self, structure: np.ndarray, y_pred: np.ndarray, spread: np.ndarray | None
    ) -> dict[str, np.ndarray]:
        """Whether each of :data:`boomlib.evaluation.applicability.FLAGS` is raised, bool [n]; of nothing none is.

        Args:
            structure: scores of the domain, float64 [n, 3].
            y_pred: predictions, float64 [n].
            spread: theirs, float64 [n]; None: no such flag.
        """
        scores = dict(zip(STRUCTURE, structure.T, strict=True)) | {"value": self.domain.score_values(y_pred)}
        usual: float | None = self.judged["usual_spread"]
        if spread is not None and usual is not None:
            scores["spread"] = spread
        return self.domain.raise_flags(scores, usual)

    def tabulate(self, said: Mapping[str, Answers]) -> tuple[dict[str, pa.Array], dict[str, np.ndarray]]:
        """Its columns of some molecules, by name, and the flags as :meth:`raise_flags` has them.

        An end that is infinite, as of intervals that too few molecules have calibrated, is null as what is unknown;
        flags are where a molecule could not be compared with train.
        """
        numbers = combine(self.read(said), self.names)
        mean, spread = numbers[self.column], numbers.get(self.names[1])
        ends = self.calibration.interval(mean, spread)
        numbers |= dict(zip(self.ends, np.where(np.isfinite(ends), ends, np.nan).T, strict=True))
        structure = said[self.domain_source].numbers
        nothing = np.isnan(structure).any(axis=1)
        flags = {name: each & ~nothing for name, each in self.raise_flags(structure, mean, spread).items()}
        raised = [
            None if empty else " ".join(name for name, each in zip(flags, row, strict=True) if each)
            for empty, row in zip(nothing, np.column_stack(list(flags.values())), strict=True)
        ]
        columns = {name: pa.array(values, pa.float64(), from_pandas=True) for name, values in numbers.items()}
        return columns | {self.flags: pa.array(raised, pa.string())}, flags


@dataclass(frozen=True)
class Said:
    """What is written of some molecules: ``table``, a row each, and the flags of each predictor, by its column."""

    table: pa.Table
    flags: Mapping[str, Mapping[str, np.ndarray]]


def tabulate(predictors: Sequence[Predictor], said: Mapping[str, Answers], n: int) -> Said:
    """The columns of all predictors of ``n`` molecules, and behind them ``note``: why there is no prediction, or
    no flag."""
    columns: dict[str, pa.Array] = {}
    flags, told = {}, {}
    for each in predictors:
        made, flags[each.column] = each.tabulate(said)
        columns |= made
        told[each.column] = {row: why for answer in each.read(said) for row, why in answer.reasons.items()}
    notes = write_notes(n, told)
    for each in predictors:
        for row, why in said[each.domain_source].reasons.items():
            notes[row] = notes[row] or f"no flags: {why}"
    return Said(pa.table(columns | {NOTE: pa.array(notes, pa.string())}), flags)
