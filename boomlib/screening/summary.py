"""What a page says of a screen, gathered while the file is written: counts, flags, molecules at either end."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from boomlib.predict import NOTE
from boomlib.screening.columns import Predictor, Said
from boomlib.smiles import identify

SHOWN = 10
"""Molecules with the highest predictions, and with the lowest, that are listed."""
ANY = "any"
KINDS = 1000
"""Reasons that are told apart; some have a number of the molecule's in them."""
OTHER = "other reasons"


class Extremes:
    """The distinct molecules with the :data:`SHOWN` highest predictions, of several spellings one; no others are held.

    Args:
        sign: 1 for the highest, -1 for the lowest.
    """

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.found: dict[str, tuple[float, int, Any]] = {}

    def add(self, values: np.ndarray, smiles: Sequence[str], first: int, describe: Callable[[int], Any]) -> None:
        """Add molecules, whose rows are counted from ``first``; ``describe(row)`` is what is told of one of them."""
        known: list[int] = np.flatnonzero(np.isfinite(values)).tolist()
        # of equals the first in the file
        for row in sorted(known, key=lambda row: (-self.sign * values[row], row)):
            order = (-self.sign * float(values[row]), first + row)
            if len(self.found) == SHOWN and order >= max(each[:2] for each in self.found.values()):
                break
            molecule = identify(smiles[row])
            if molecule in self.found:
                continue
            self.found[molecule] = (*order, describe(row))
            if len(self.found) > SHOWN:
                del self.found[max(self.found, key=lambda text: self.found[text][:2])]

    def list(self) -> list[Any]:
        """What is told of them, the most extreme first."""
        return [content for *_, content in sorted(self.found.values(), key=lambda each: each[:2])]


class Summary:
    """Counts over all molecules of a screen.

    Args:
        predictors: its models on its tasks.
    """

    def __init__(self, predictors: Sequence[Predictor]) -> None:
        self.predictors = predictors
        self.rows, self.noted = 0, 0
        self.reasons: Counter[str] = Counter()
        self.predicted: Counter[str] = Counter()
        self.flagged: dict[str, Counter[str]] = {each.column: Counter() for each in predictors}
        self.extremes = {(each.column, sign): Extremes(sign) for each in predictors for sign in (1, -1)}

    def add(self, smiles: Sequence[str], said: Said) -> None:
        """Add what is written of some molecules."""
        notes = [note for note in said.table[NOTE].to_pylist() if note]
        for note in notes:
            self.reasons[note if note in self.reasons or len(self.reasons) < KINDS else OTHER] += 1
        for each in self.predictors:
            values = said.table[each.column].to_numpy()
            known, flags = np.isfinite(values), said.flags[each.column]
            self.predicted[each.column] += int(known.sum())
            counts = {name: int((raised & known).sum()) for name, raised in flags.items()}
            counts[ANY] = int((np.any(list(flags.values()), axis=0) & known).sum())
            self.flagged[each.column].update(counts)

            def describe(row: int, each: Predictor = each) -> dict[str, Any]:
                return describe_molecule(said.table, row, each, smiles[row], self.rows)

            for sign in (1, -1):
                self.extremes[each.column, sign].add(values, smiles, self.rows, describe)
        self.rows += len(smiles)
        self.noted += len(notes)

    def to_json(self, models: Iterable[Mapping[str, str]]) -> dict[str, Any]:
        """The summary for a JSON file.

        Args:
            models: key and names of each predictor.
        """
        told = {reason: count for reason, count in self.reasons.most_common(SHOWN) if reason != OTHER}
        if others := self.reasons.total() - sum(told.values()):
            told[OTHER] = others
        return {
            "rows": self.rows,
            "noted": self.noted,
            "reasons": told,
            "predictors": [
                {
                    **model,
                    "column": each.column,
                    "seeds": [facts["seed"] for facts in each.facts],
                    "predicted": self.predicted[each.column],
                    "flagged": dict(self.flagged[each.column]),
                    "highest": self.extremes[each.column, 1].list(),
                    "lowest": self.extremes[each.column, -1].list(),
                }
                for model, each in zip(models, self.predictors, strict=True)
            ],
        }


def describe_molecule(table: pa.Table, row: int, predictor: Predictor, smiles: str, before: int) -> dict[str, Any]:
    """What the page tells of one molecule, which stands ``before`` + ``row`` rows behind the first."""
    low, high = (table[end][row].as_py() for end in predictor.ends)
    return {
        "row": before + row + 1,
        "smiles": smiles,
        "predicted": table[predictor.column][row].as_py(),
        "low": low,
        "high": high,
        "flags": table[predictor.flags][row].as_py(),
    }
