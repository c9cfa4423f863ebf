"""What somebody must know to predict a task elsewhere, beside its blinded table."""

import numpy as np

from boomlib.contracts import FOLDS, read_molecules, read_split
from boomlib.evaluation.score import describe_benchmark
from boomlib.files import StrPath, write_json


def describe_task(
    molecules_path: StrPath,
    split_path: StrPath,
    out_path: StrPath,
    *,
    dataset: str,
    property_name: str,
    scheme: str,
    unit: str,
    kind: str,
) -> dict[str, object]:
    """Write as JSON, and return: the task's names, ``unit`` and ``kind``, ``folds``, ``version`` and ``split``.

    Args:
        molecules_path: the molecules table.
        split_path: the split.
        out_path: the JSON file. ``folds`` are sizes; ``version`` is the benchmark's, and ``split`` the hash that
            tells a split from others, see :func:`boomlib.evaluation.score.describe_benchmark`.
        dataset: its name.
        property_name: the property.
        scheme: the scheme.
        unit: of its labels.
        kind: ``extensive`` or ``intensive``.
    """
    molecules, (fold, _) = read_molecules(molecules_path), read_split(split_path)
    sizes = {name: int(np.count_nonzero(fold == name)) for name in FOLDS}
    names = {"dataset": dataset, "property": property_name, "scheme": scheme}
    described: dict[str, object] = {
        **names,
        "unit": unit,
        "kind": kind,
        "folds": sizes,
        **describe_benchmark(molecules, fold),
    }
    write_json(out_path, described)
    return described
