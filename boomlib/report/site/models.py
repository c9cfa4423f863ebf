"""The data of a model's page that no other page has: its errors by element and group."""

from collections.abc import Mapping, Set
from typing import Any

from boomlib.report.site.answers import Answers
from boomlib.report.site.groups import list_errors


def describe_errors(
    answers: Mapping[tuple[str, str, str], Answers], parts: Mapping[str, Mapping[str, Set[str]]], model: str
) -> dict[str, Any]:
    """By task, dataset/property/scheme, see :func:`boomlib.report.site.groups.list_errors`."""
    return {"/".join(task): list_errors(parts, each, model) for task, each in answers.items() if model in each.first}
