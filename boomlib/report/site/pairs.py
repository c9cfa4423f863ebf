"""What several parts of NL-MTP's page show alike: pairs of molecules, and how far the data support a shift."""

from typing import Any

import numpy as np
import pyarrow as pa

from boomlib.evaluation.pairs import pair_groups
from boomlib.report.site.board import as_number

BINS = 40
MOST = 4000
"""Pairs that are drawn and places that are described; of more, every second, third, … one."""


def count_support(support: np.ndarray, masks: dict[str, np.ndarray]) -> dict[str, Any]:
    """Histograms of support scores [n] by population, in percent of its molecules or places."""
    edges = np.linspace(0, 1, BINS + 1)
    shares = {name: 100 * np.histogram(support[mask], edges)[0] / max(1, mask.sum()) for name, mask in masks.items()}
    return {
        "edges": [as_number(edge) for edge in edges],
        "shares": {name: [as_number(each) for each in share] for name, share in shares.items()},
    }


def list_pairs(y: np.ndarray, fold: np.ndarray, contrast: np.ndarray, pairs: pa.Table) -> list[list[Any]]:
    """Pairs that are drawn and whose ``contrast`` [pairs] is known.

    Of each: true difference, contrast of the lighter one, whether train lacks both, molecules.
    """
    left, right = pairs["left"].to_numpy(), pairs["right"].to_numpy()
    unseen = pair_groups(fold, pairs)["unseen"]
    return [
        [
            as_number(y[right[at]] - y[left[at]]),
            as_number(contrast[at]),
            int(unseen[at]),
            int(left[at]),
            int(right[at]),
        ]
        for at in choose_evenly(pairs.num_rows)
        if not np.isnan(contrast[at])
    ]


def choose_evenly(n: int) -> np.ndarray:
    """Positions of those of n that are shown, at most :data:`MOST`, evenly over all."""
    return np.arange(n)[:: -(-n // MOST) or 1]
