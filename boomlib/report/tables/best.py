"""The best model of each task on ID and on OOD, by what it needs, beside what others published."""

from collections.abc import Mapping, Sequence

from boomlib.evaluation.comparison import COMPARED
from boomlib.evaluation.ranking import find_untold
from boomlib.report.needs import EXTERNAL, SHOWN
from boomlib.report.numbers import NONE, format_number
from boomlib.report.published import SCHEME, SPLITS, Published
from boomlib.report.tables.markdown import format_table
from boomlib.report.tables.ranked import RankedModels

Errors = list[tuple[float, str]]
"""RMSE and name of models."""


def select_published(ranked: RankedModels, published: Sequence[Published]) -> list[Published]:
    """What others published on a task of the scheme; nothing on another scheme than BOOM's."""
    tasks = {"/".join(task) for task in ranked.titles}
    return [each for each in published if ranked.scheme == SCHEME and not tasks.isdisjoint(each.rmse)]


def tabulate_best(ranked: RankedModels, needs: Mapping[str, Mapping[str, str]], published: Sequence[Published]) -> str:
    """One row a task and fold: the least RMSE and its model, for each need of ours and each split of publications.

    Where a fold tells no models apart nobody is best.

    Args:
        ranked: the models of a scheme.
        needs: what each needs on each dataset, see :func:`boomlib.report.needs.list_needs`.
        published: see :func:`select_published`.
    """
    datasets = {dataset for dataset, _ in ranked.titles}
    found = {need for model in needs.values() for dataset, need in model.items() if dataset in datasets}
    shown = [need for need in SHOWN if need in found]
    splits = [split for split in SPLITS if any(each.split == split for each in published)]
    measured = {fold: ranked.select("rmse", fold) for fold in COMPARED}
    untold = {fold: find_untold(ranked.metrics, ranked.scheme, ranked.controls, fold) for fold in COMPARED}
    rows = []
    for column, (task, title) in enumerate(ranked.titles.items()):
        for fold in COMPARED:
            errors = {} if untold[fold][column] else measured[fold][task].dropna()
            ours: dict[str, Errors] = {need: [] for need in shown}
            for model, error in errors.items():
                if model in needs:
                    ours[needs[model][task[0]]].append((error, ranked.names[model]))
            theirs = [list_errors(published, split, "/".join(task), fold) for split in splits]
            cells = [write_least(group) for group in (*ours.values(), *theirs)]
            rows.append([title, fold.upper(), *cells])
    by_need = ["External" if need == EXTERNAL else f"By {need}" for need in shown]
    header = ["Task", "Fold", *by_need, *(f"Published, {SPLITS[split]}" for split in splits)]
    return format_table(header, rows, text_columns=len(header))


def list_errors(published: Sequence[Published], split: str, task: str, fold: str) -> Errors:
    """What others published on a fold of a task, with one split."""
    return [(each.rmse[task][fold], each.model) for each in published if each.split == split and task in each.rmse]


def write_least(errors: Errors) -> str:
    """The least error and its model; — of none."""
    if not errors:
        return NONE
    least = min(errors)
    number = format_number(least[0])
    return f"{number} {least[1]}"


def tabulate_published(ranked: RankedModels, published: Sequence[Published]) -> str:
    """All that :func:`select_published` has found, one row an entry: RMSE on ID / OOD of each task; empty of none."""
    if not published:
        return ""
    titles = {"/".join(task): title for task, title in ranked.titles.items()}
    titles = {task: title for task, title in titles.items() if any(task in each.rmse for each in published)}
    rows = [
        [
            each.model,
            f"[{'/'.join(each.source.split('/')[-2:])}]({each.source})",
            SPLITS[each.split],
            each.caveat,
            *(write_pair(each.rmse.get(task)) for task in titles),
        ]
        for each in published
    ]
    return format_table(["Model", "Source", "Tested on", "Caveat", *titles.values()], rows, text_columns=4)


def write_pair(rmse: Mapping[str, float] | None) -> str:
    """The RMSE on ID / OOD; — of none."""
    return NONE if rmse is None else " / ".join(format_number(rmse[fold]) for fold in COMPARED)
