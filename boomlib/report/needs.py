"""What models need to predict a new molecule, on each dataset."""

from collections.abc import Iterable, Mapping
from itertools import chain

from boomlib.declared import NEEDS, find_needs
from boomlib.external import is_external
from boomlib.registry import list_members
from boomlib.report.numbers import NONE

EXTERNAL = "external"
"""Of a model whose predictions alone are known; what it needs, its makers know."""
SHOWN = (*NEEDS, EXTERNAL)
"""What a model may need, in the order of the columns of a table."""


def list_needs(
    names: Iterable[str], models: Mapping[str, Mapping], datasets: Mapping[str, Mapping]
) -> dict[str, dict[str, str]]:
    """By model and dataset, one of :data:`SHOWN`; of controls, which are no predictors, nothing.

    Args:
        names: the models.
        models: descriptors by model, also of the members whose predictions some of them read.
        datasets: registry entries by dataset.
    """
    needs = {}
    for name in names:
        if models[name]["family"] != "control":
            read = [models[each] for each in (name, *list_members(models[name]))]
            features = list(chain.from_iterable(model["features"] for model in read))
            external = any(map(is_external, read))
            needs[name] = {
                dataset: EXTERNAL if external else find_needs(features, entry["reader"])
                for dataset, entry in datasets.items()
            }
    return needs


def describe_needs(needs: Mapping[str, str]) -> str:
    """What a model needs, by dataset, as one text; the datasets are named where they differ, and none is —."""
    datasets: dict[str, list[str]] = {}
    for dataset, need in needs.items():
        datasets.setdefault(need, []).append(dataset)
    if len(datasets) < 2:
        return next(iter(datasets), NONE)
    return "; ".join(f"{need} ({', '.join(names)})" for need, names in datasets.items())
