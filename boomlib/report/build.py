"""The leaderboard of a configuration: from the tables of its runs and the registry's entries."""

import csv
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd
import yaml

from boomlib.datasets.rows import MERGED, PARTLY
from boomlib.evaluation.outcomes import list_failures
from boomlib.evaluation.records import read_runs
from boomlib.evaluation.summary import read_metrics, summarise
from boomlib.files import write_text
from boomlib.provenance import content_hash
from boomlib.registry import UNSHOWN
from boomlib.report.leaderboard import write_leaderboard
from boomlib.report.needs import list_needs
from boomlib.report.roles import assign_roles
from boomlib.runs import Run

PARTIAL = "leaderboard.partial.md"
PARTIAL_SITE = "site.partial"
"""The page and the site of what a failed command has finished."""


def write_config(config: Mapping, path: str | os.PathLike) -> None:
    """Write the merged configuration beside the results that it made."""
    write_text(path, yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True))


def hash_config(config: Mapping) -> str:
    """The hash of a configuration in the footer of a page."""
    return content_hash({key: value for key, value in config.items() if key not in UNSHOWN})


def count_unused(path: Path) -> tuple[int, int, int] | None:
    """Rows of a ``rejects.csv``: rejected, merged, used without some labels; None if it does not exist yet."""
    if not path.is_file():
        return None
    with path.open(encoding="utf-8", newline="") as stream:
        reasons = [row["reason"] for row in csv.DictReader(stream)]
    merged = sum(MERGED.match(reason) is not None for reason in reasons)
    partly = sum(reason.endswith(PARTLY) for reason in reasons)
    return len(reasons) - merged - partly, merged, partly


def write_page(
    page: Path,
    metrics: pd.DataFrame,
    records: pd.DataFrame,
    *,
    config: Mapping,
    datasets: Mapping,
    models: Mapping,
    others: Sequence[tuple[str, str, str]] = (),
    results: Path | None = None,
) -> None:
    """Write the leaderboard of both tables to ``page``, which stands in the results folder or in a publication.

    Args:
        page: the Markdown file.
        metrics: the tidy table.
        records: the table of runs.
        config: the checked configuration; its hash stands in the footer.
        datasets: registry entries by dataset.
        models: descriptors by model, also of those that have trained for others alone.
        others: files that could not be made, beside those of runs, with the reason and the log.
        results: the folder of results, if the page stands elsewhere, with figures that are all of these tables.
    """
    folder = results or page.parent
    used = {name: models[name] for name in config["models"]}
    shown = {name: datasets[name] for name in dict.fromkeys(records["dataset"])}
    write_leaderboard(
        page,
        folder,
        metrics,
        records,
        models=used,
        datasets=shown,
        needs=list_needs(used, models, shown),
        unused={name: count_unused(folder / "data" / name / "rejects.csv") for name in shown},
        config_hash=hash_config(config),
        others=others,
        overviews=results is not None or bool((records["status"] == "done").all()),
    )


def write_markdown(
    metrics_csv: str | os.PathLike, runs_csv: str | os.PathLike, page: str | os.PathLike, **described: Mapping
) -> None:
    """Write the leaderboard from ``leaderboard.csv`` and ``runs.csv``, and remove the partial one beside it.

    ``described`` is what :func:`write_page` wants to know.
    """
    write_page(Path(page), read_metrics(metrics_csv), read_runs(runs_csv), **described)
    remove_partial(Path(page).parent)


def write_partial(
    results: str | os.PathLike,
    needs: Mapping[Run, Sequence[str]],
    others: Iterable[str] = (),
    **described: Mapping,
) -> tuple[pd.DataFrame, pd.DataFrame, list[tuple[str, str, str]]]:
    """Write ``leaderboard.partial.md`` from what a failed workflow has finished; nothing else is touched.

    Args:
        results: the results folder.
        needs: the files that each run stands on, see :func:`boomlib.evaluation.outcomes.find_outcome`.
        others: what the leaderboard is made of beside the runs.
        described: what :func:`write_page` wants to know.

    Returns:
        The tables of metrics and of runs, and which files could not be made, beside those of runs.
    """
    used = {name: described["models"][name] for name in described["config"]["models"]}
    tables = summarise(results, list(needs), needs, controls=assign_roles(used).controls)
    lacking = list_failures(results, others)
    write_page(Path(results, PARTIAL), *tables, others=lacking, **described)
    return *tables, lacking


def remove_partial(results: str | os.PathLike) -> None:
    """Remove ``leaderboard.partial.md`` and ``site.partial``, if they are there."""
    Path(results, PARTIAL).unlink(missing_ok=True)
    shutil.rmtree(Path(results, PARTIAL_SITE), ignore_errors=True)
