"""The leaderboard of a configuration: from the registry's entries and what lies in the results folder."""

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from boomlib.evaluation.summary import write_summary
from boomlib.files import write_text
from boomlib.provenance import content_hash, versions
from boomlib.report.leaderboard import write_leaderboard
from boomlib.runs import Run


def write_config(config: Mapping, path: str | os.PathLike) -> None:
    """Write the merged configuration beside the results that it made."""
    write_text(path, yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True))


def count_rejects(path: Path) -> int:
    """Rows of a ``rejects.csv``; 0 if it does not exist yet."""
    if not path.is_file():
        return 0
    with path.open(encoding="utf-8", newline="") as stream:
        return sum(1 for _ in csv.DictReader(stream))


def write_markdown(
    results: str | os.PathLike, runs: Sequence[Run], *, config: Mapping, datasets: Mapping, models: Mapping
) -> None:
    """Write ``leaderboard.md`` for ``runs``, done or not.

    Args:
        results: the results folder.
        runs: all runs of the configuration.
        config: the checked configuration; its hash stands in the footer.
        datasets: registry entries by dataset.
        models: descriptors by model.
    """
    described = {
        name: entry | {"rejected": count_rejects(Path(results, "data", name, "rejects.csv"))}
        for name, entry in datasets.items()
    }
    used = [name for name in models if name in config["models"]]
    write_leaderboard(
        results,
        runs,
        labels={name: models[name]["label"] for name in used},
        controls={name for name in used if models[name]["family"] == "control"},
        evaluators={name for name in used if models[name]["answers_policy"]},
        datasets=described,
        config_hash=content_hash({key: value for key, value in config.items() if key != "mirror"}),
        versions=versions(),
        notes={name: models[name]["source"] for name in used},
    )


def write_partial(
    results: str | os.PathLike, runs: Sequence[Run], *, config: Mapping, datasets: Mapping, models: Mapping
) -> None:
    """Write ``leaderboard.csv`` and ``leaderboard.md`` from what a failed workflow has finished.

    Both are dated back to 1970, the second before the first: Snakemake would take newer ones for done, whatever of
    their inputs is missing, and the same command would not take up what failed.
    """
    write_summary(results, runs, Path(results, "leaderboard.csv"))
    write_markdown(results, runs, config=config, datasets=datasets, models=models)
    for second, name in enumerate(("leaderboard.md", "leaderboard.csv")):
        os.utime(Path(results, name), (second, second))
