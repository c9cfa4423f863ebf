"""What labels show before anything is learnt from them: whether they are the same but for rounding."""

import numpy as np

SAME = 1e-9
"""Numbers that differ by less than this share of their size are the same: rounding makes them differ."""
FEW = 0.01
"""Share of labels that may differ where the others are the same, or one label: from these nothing can be learnt."""


def is_nearly_constant(y: np.ndarray) -> bool:
    """Whether all labels (float64 [n], n ≥ 1) but one or 1 % of them are the same for their largest one's size."""
    differ = np.abs(y - np.median(y)) > SAME * np.abs(y).max()
    return bool(differ.sum() <= max(1, FEW * len(y)))
