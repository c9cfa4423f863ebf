"""What models need to predict a new molecule, on each dataset."""

from collections.abc import Mapping

from boomlib.declared import find_needs
from boomlib.report.numbers import NONE
from boomlib.report.roles import Roles


def list_needs(
    models: Mapping[str, Mapping], datasets: Mapping[str, Mapping], roles: Roles
) -> dict[str, dict[str, str]]:
    """By model and dataset, one of :data:`boomlib.declared.NEEDS`; of controls, which are no predictors, nothing.

    Args:
        models: descriptors by model.
        datasets: registry entries by dataset.
        roles: says which are controls.
    """
    return {
        name: {dataset: find_needs(model["features"], entry["reader"]) for dataset, entry in datasets.items()}
        for name, model in models.items()
        if name not in roles.controls
    }


def describe_needs(needs: Mapping[str, str]) -> str:
    """What a model needs, by dataset, as one text; the datasets are named where they differ, and none is —."""
    datasets: dict[str, list[str]] = {}
    for dataset, need in needs.items():
        datasets.setdefault(need, []).append(dataset)
    if len(datasets) < 2:
        return next(iter(datasets), NONE)
    return "; ".join(f"{need} ({', '.join(names)})" for need, names in datasets.items())
