"""Writes the leaderboard for people, from the tables of metrics and of runs."""

import importlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import jinja2
import pandas as pd

from boomlib.evaluation.records import list_recorded
from boomlib.external import is_external
from boomlib.files import read_json, write_text
from boomlib.report.figures.catalogue import CataloguedFigure, find_figures
from boomlib.report.making import describe_making
from boomlib.report.needs import EXTERNAL
from boomlib.report.published import read_published
from boomlib.report.roles import Roles, assign_roles
from boomlib.report.tables.best import select_published, tabulate_best, tabulate_published
from boomlib.report.tables.committees import tabulate_committees
from boomlib.report.tables.details import tabulate_details
from boomlib.report.tables.doubles import list_doubles
from boomlib.report.tables.errors import tabulate_errors, tabulate_tail_interior
from boomlib.report.tables.exposure import tabulate_exposure
from boomlib.report.tables.failures import tabulate_failures
from boomlib.report.tables.hardest import list_hardest
from boomlib.report.tables.overall import tabulate_ranking
from boomlib.report.tables.policy import tabulate_policies
from boomlib.report.tables.ranked import RankedModels
from boomlib.report.tables.sources import tabulate_sources
from boomlib.report.tables.splits import tabulate_splits
from boomlib.report.tables.training import list_versions, tabulate_training
from boomlib.report.tables.uncertainty import describe_uncertainty
from boomlib.runs import Run

APART = ("policy", "hardest")
"""Figures that stand beside tables of their own."""


def read_notes(results_dir: Path, scheme: str, tasks: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    """Task and text of what :func:`boomlib.evaluation.notes.inspect_task` has noted on the tasks of a scheme."""
    paths = {task: results_dir.joinpath("notes", *task, f"{scheme}.json") for task in tasks}
    return [
        {"label": "/".join(task), "text": text}
        for task, path in paths.items()
        if path.is_file()
        for text in read_json(path)["notes"]
    ]


def describe_scheme(
    ranked: RankedModels,
    needs: Mapping[str, Mapping[str, str]],
    figures: list[CataloguedFigure],
    results_dir: Path,
) -> dict:
    """Heading, text, notes, tables and figures of one scheme, for the template."""
    module = importlib.import_module(f"boomlib.splits.{ranked.scheme}")
    published = select_published(ranked, read_published())
    figures = [each for each in figures if each.scheme == ranked.scheme]
    return {
        "title": module.TITLE,
        "description": module.TEXT,
        "notes": read_notes(results_dir, ranked.scheme, ranked.titles),
        "external": any(EXTERNAL in each.values() for each in needs.values()),
        "overall": tabulate_ranking(ranked, needs),
        "best": tabulate_best(ranked, needs, published),
        "published": tabulate_published(ranked, published),
        "ood_rmse": tabulate_errors(ranked, "ood"),
        "id_rmse": tabulate_errors(ranked, "id"),
        "tail_interior": tabulate_tail_interior(ranked),
        "details": tabulate_details(ranked),
        "hardest": list_hardest(results_dir, ranked, figures),
        "uncertainty": describe_uncertainty(results_dir, ranked),
        "figures": [each for each in figures if each.kind not in APART],
    }


def list_notes(entries: Mapping[str, Mapping], key: str, names: Mapping[str, str]) -> list[dict[str, str]]:
    """Label and text, one line, of the ``entries`` that have something at ``key``."""
    return [
        {"label": names[name], "text": " ".join(entry[key].split())} for name, entry in entries.items() if key in entry
    ]


def list_model_notes(models: Mapping[str, Mapping], labels: Mapping[str, str]) -> list[dict[str, str]]:
    """Label and ``source`` of models; of external ones also under which licence, and where, they may be had."""
    noted = {}
    for name, model in models.items():
        found = [model["source"]]
        if is_external(model):
            found += [f"Licence: {model['licence']}."] if "licence" in model else []
            found += [model["citation"]] if "citation" in model else []
        noted[name] = {"source": " ".join(found)}
    return list_notes(noted, "source", labels)


def describe_policies(
    results_dir: Path, finished: Iterable[Run], roles: Roles, figures: Iterable[CataloguedFigure]
) -> dict[str, object]:
    """How many of the ``finished`` runs answer a policy, both tables of these, and their figures, for the template."""
    runs = [run for run in finished if run.model in roles.evaluators]
    effects, pairs = tabulate_policies(results_dir, runs, roles)
    shown = [figure for figure in figures if figure.kind == "policy"]
    return {"policies": len(runs), "effects": effects, "pairs": pairs, "policy_figures": shown}


def render(template: str, **parts: object) -> str:
    """A template beside this file with its parts."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(**parts)


def write_leaderboard(
    page: str | os.PathLike,
    results_dir: str | os.PathLike,
    metrics: pd.DataFrame,
    records: pd.DataFrame,
    *,
    models: Mapping[str, Mapping],
    datasets: Mapping[str, Mapping],
    needs: Mapping[str, Mapping[str, str]],
    unused: Mapping[str, tuple[int, ...] | None],
    config_hash: str,
    others: Sequence[tuple[str, str, str]] = (),
    overviews: bool,
) -> None:
    """Write the leaderboard: models in the order of the ranking, failures with their reasons.

    The same tables make the same bytes. Figures under ``plots/`` beside the page are shown by relative path.

    Args:
        page: the Markdown file.
        results_dir: results, for policies, hardest molecules, intervals, notes on tasks, what pretraining saw.
        metrics: the tidy table, see :func:`boomlib.evaluation.summary.tabulate_metrics`.
        records: the table of runs in the order of the tables, :func:`boomlib.evaluation.records.tabulate_runs`.
        models: descriptors of the models of the runs; ``source`` is the note on one.
        datasets: registry entries of the datasets of the runs.
        needs: what models need, see :func:`boomlib.report.needs.list_needs`.
        unused: see :func:`tabulate_sources`.
        config_hash: hash of the configuration, for the footer.
        others: files that could not be made, beside those of runs, with the reason and the log.
        overviews: whether figures of a whole scheme that lie beside the page are of these tables.
    """
    results_dir, runs, roles = Path(results_dir), list_recorded(records), assign_roles(models)
    done = records["status"] == "done"
    figures = find_figures(Path(page).parent, runs, roles, finished=overviews)
    units = {(run.dataset, run.property): datasets[run.dataset]["properties"][run.property]["unit"] for run in runs}
    finished = list_recorded(records[done])
    text = render(
        "leaderboard.md.j2",
        making=describe_making(records),
        runs=len(runs),
        lost=int((~done).sum()),
        schemes=[
            describe_scheme(RankedModels(metrics, scheme, roles, units), needs, figures, results_dir)
            for scheme in pd.unique(records["scheme"])
        ],
        **describe_policies(results_dir, finished, roles, figures),
        committees=tabulate_committees(results_dir, finished, roles),
        training=tabulate_training(records, roles),
        exposure=tabulate_exposure(results_dir, records, models),
        seeds=", ".join(map(str, sorted({run.seed for run in runs}))),
        splits=tabulate_splits(metrics, records, datasets),
        doubles=list_doubles(results_dir, records, datasets),
        sources=tabulate_sources(datasets, unused),
        dataset_notes=list_notes(datasets, "note", {name: entry["label"] for name, entry in datasets.items()}),
        model_notes=list_model_notes(models, roles.labels),
        failures=tabulate_failures(records[~done], others),
        config_hash=config_hash,
        versions=list_versions(records),
    )
    write_text(page, text)
