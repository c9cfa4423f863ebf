"""The interactive leaderboard of a run: pages from templates, the data that they load, and what they share."""

from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path

import jinja2
import pandas as pd

from boomlib.evaluation.records import read_runs
from boomlib.evaluation.summary import read_metrics
from boomlib.files import StrPath, atomic_path, commit, write_text
from boomlib.report.build import PARTIAL_SITE, hash_config, remove_partial
from boomlib.report.site.answers import read_answers
from boomlib.report.site.board import describe_board
from boomlib.report.site.files import ASSETS, HERE, PAGES
from boomlib.report.site.groups import find_parts
from boomlib.report.site.models import describe_errors
from boomlib.report.site.policies import describe_pairs, describe_policy
from boomlib.report.site.runs import list_runs
from boomlib.report.site.script import write_script
from boomlib.report.site.source import Source
from boomlib.report.site.tasks import write_task

LIBRARY = "plotly.min.js"


def write_site(metrics_csv: StrPath, runs_csv: StrPath, index: StrPath, **described: Mapping) -> None:
    """Write the interactive leaderboard from ``leaderboard.csv`` and ``runs.csv``, and remove partial ones.

    Its first page is ``index``, in a folder of its own in the results folder. ``described`` is what
    :func:`boomlib.report.build.write_page` wants to know.
    """
    folder = Path(index).parent
    source = Source(folder.parent, read_metrics(metrics_csv), read_runs(runs_csv), **described)
    build_site(source, folder, hash_config(described["config"]))
    remove_partial(folder.parent)


def write_partial_site(
    results: StrPath, made: tuple[pd.DataFrame, pd.DataFrame, Sequence[tuple[str, str, str]]], **described: Mapping
) -> None:
    """Write ``site.partial`` of what :func:`boomlib.report.build.write_partial` has made."""
    metrics, records, others = made
    source = Source(Path(results), metrics, records, others=others, **described)
    build_site(source, Path(results, PARTIAL_SITE), hash_config(described["config"]))


def build_site(source: Source, folder: Path, config_hash: str) -> None:
    """Write the site of a run to ``folder``; files of an earlier one that this has not are removed.

    The first page, ``index.html``, comes last, so that where it is all others are.

    Args:
        source: tables and entries.
        folder: the site's.
        config_hash: hash of the configuration, for the footer.
    """
    folder.joinpath("index.html").unlink(missing_ok=True)
    written = {*write_assets(folder / "assets"), *write_data(source, folder, config_hash)}
    written |= {write_page(page, folder) for page in reversed(list(PAGES))}
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
        elif path.is_file() and path not in written and not path.name.startswith("."):
            path.unlink()


def write_assets(folder: Path) -> Iterator[Path]:
    """Copy what all pages share; yields the files."""
    for name in ASSETS:
        yield copy(HERE.joinpath("assets", name).read_bytes(), folder / name)
    yield copy(resources.files("plotly").joinpath("package_data", LIBRARY).read_bytes(), folder / LIBRARY)


def copy(content: bytes, path: Path) -> Path:
    """Write a file in one step, and return it."""
    atomic_path(path).write_bytes(content)
    commit(path)
    return path


def write_data(source: Source, folder: Path, config_hash: str) -> Iterator[Path]:
    """Write the data of all pages; yields the files."""
    yield write_script(folder, "board", describe_board(source, config_hash))
    yield write_script(folder, "runs", list_runs(source))
    answered = [run for run in source.finished if source.has_answers(run)]
    tasks = dict.fromkeys((run.dataset, run.property, run.scheme) for run in answered)
    read = {task: read_answers(source, *task) for task in tasks}
    smiles = list(dict.fromkeys(text for answers in read.values() for text in answers.smiles))
    parts = find_parts(smiles)
    for task, answers in read.items():
        yield from write_task(source, folder, task, answers)
    for model in source.used:
        yield write_script(folder, f"models/{model}", describe_errors(read, parts, model))
    policies = {run.stem: describe_policy(source, run) for run in source.policy_runs}
    for stem, policy in policies.items():
        yield write_script(folder, f"policies/{stem}", policy)
    for paired in dict.fromkeys((run.dataset, run.property, run.scheme) for run in source.policy_runs):
        yield write_script(folder, f"pairs/{'/'.join(paired)}", describe_pairs(source, paired))


def write_page(page: str, folder: Path) -> Path:
    """Write one page from its template, and return it."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    write_text(folder / page, environment.get_template(f"{page}.j2").render(page=page, pages=PAGES))
    return folder / page
