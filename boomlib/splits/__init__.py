"""Molecules -> folds; one module a scheme, and nothing else names it. Everything here is deterministic.

A scheme has TITLE (its heading), TEXT (a sentence on what is OOD), QUANTITY (the label of an axis for what it cuts by;
``{unit}`` stands for the property's unit), FEATURES (the feature tables that it reads) and ``assign``::

    assign(table: SplitInput, *, ood_size, id_fraction, seed, **settings) -> fold, quantity, facts

``ood_size`` is the number of molecules in the OOD fold, ``id_fraction`` the share of the others that becomes the ID
test fold, ``settings`` the rest of the dataset's ``split``. It returns the folds ``train``, ``id`` and ``ood`` (str
[n]), what it cuts by (float64 [n]) and facts for the log.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


@dataclass(frozen=True)
class SplitInput:
    """What a scheme may see of a dataset.

    Attributes:
        property: the name of the property to split by.
        values: values of every property in the registry's order, float64 [n] each, of the molecules that have a label
            of ``property``; NaN where one of these has none of another.
        features: the feature tables of the scheme's FEATURES, by name.
    """

    property: str
    values: Mapping[str, "np.ndarray"]
    features: Mapping[str, "pa.Table"]
