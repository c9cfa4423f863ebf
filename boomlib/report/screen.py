"""The page of a screen, from its summary, and from what is known of its models."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from boomlib.evaluation.applicability import FLAGS
from boomlib.evaluation.comparison import COMPARED
from boomlib.files import read_json, write_text
from boomlib.report.leaderboard import render
from boomlib.report.numbers import NONE, format_decimals, format_number, format_percent
from boomlib.report.tables.hardest import shorten
from boomlib.report.tables.markdown import format_code, format_table
from boomlib.screening.summary import ANY

TRUST = ("Model", "Task", "Seeds", "RMSE ID", "RMSE OOD", "Unit", "Interval", "Coverage ID", "Coverage OOD")
EXTREMES = ("", "SMILES", "Flags", "Row", "Predicted", "Low", "High")


def write_screen(
    summary_path: str | os.PathLike,
    uncertainty: Sequence[str | os.PathLike],
    metrics: Sequence[str | os.PathLike],
    figures: Sequence[str],
    page: str | os.PathLike,
) -> None:
    """Write the page.

    Args:
        summary_path: see :meth:`boomlib.screening.summary.Summary.to_json`.
        uncertainty: of each predictor how far its intervals hold.
        metrics: scores of each predictor, a file a seed.
        figures: of each predictor its predictions over train's labels, and its extreme molecules.
        page: the Markdown file, in the folder ``screens`` of the results.
    """
    summary, place = read_json(summary_path), Path(page).parent
    predictors = summary["predictors"]
    judged = [read_json(path)["predictors"][-1] for path in uncertainty]
    scores = iter(read_json(path)["folds"] for path in metrics)
    scored = [[next(scores) for _ in each["seeds"]] for each in predictors]
    shown = [Path(os.path.relpath(figure, place)).as_posix() for figure in figures]
    reasons = [[reason, f"{n:,}"] for reason, n in summary["reasons"].items()]
    text = render(
        "screen.md.j2",
        name=Path(page).stem,
        file=summary["file"],
        rows=f"{summary['rows']:,}",
        noted=summary["noted"] and f"{summary['noted']:,}",
        models=len(predictors),
        reasons=format_table(("Reason", "Rows"), reasons) if reasons else "",
        trust=format_table(TRUST, list(map(tell_trust, predictors, judged, scored)), text_columns=3),
        flags=format_table(
            ("Model", "Task", "", "Any", *FLAGS),
            [row for each, known in zip(predictors, judged, strict=True) for row in tell_flags(each, known)],
            text_columns=3,
        ),
        predictors=[
            {
                "title": f"{each['label']}, {name_task(each)}",
                "predicted": f"{each['predicted']:,}",
                "unit": each["unit"],
                "column": each["column"],
                "distribution": shown[2 * at],
                "extremes": shown[2 * at + 1],
                "table": tabulate_extremes(each),
            }
            for at, each in enumerate(predictors)
        ],
    )
    write_text(page, text)


def name_task(predictor: Mapping[str, Any]) -> str:
    """The task of a predictor, and the split of its training."""
    return f"{predictor['dataset']}/{predictor['property']}, {predictor['scheme']} split"


def tell_trust(
    predictor: Mapping[str, Any], judged: Mapping[str, Any], scored: Sequence[Mapping[str, Any]]
) -> list[str]:
    """The row of a predictor in the table of how far to believe it."""
    errors = [[folds[fold]["metrics"] for folds in scored] for fold in COMPARED]
    values = [[each and each["rmse"]["value"] for each in fold] for fold in errors]
    held = judged["intervals"][judged["offered"]]["folds"]
    return [
        predictor["label"],
        name_task(predictor),
        ", ".join(map(str, predictor["seeds"])),
        *(format_number(None if None in fold else float(np.mean(fold))) for fold in values),
        predictor["unit"],
        judged["offered"],
        *(format_percent(held[fold]["coverage"]) for fold in COMPARED),
    ]


def tell_flags(predictor: Mapping[str, Any], judged: Mapping[str, Any]) -> list[list[str]]:
    """The rows of a predictor in the table of flags: how many of its predictions, and how well each tells OOD."""
    n, flagged = predictor["predicted"], predictor["flagged"]
    counts = [flagged.get(name) for name in (ANY, *FLAGS)]
    told = [NONE if count is None or not n else f"{count:,} ({format_percent(count / n)})" for count in counts]
    aurocs = [format_decimals(judged["flags"].get(name, {}).get("auroc")) for name in FLAGS]
    named = [predictor["label"], name_task(predictor)]
    return [[*named, "flagged", *told], [*named, "AUROC", NONE, *aurocs]]


def tabulate_extremes(predictor: Mapping[str, Any]) -> str:
    """The molecules with the highest and the lowest predictions, numbered as in the figure."""
    rows = [
        [
            f"{word} {number}",
            format_code(shorten(molecule["smiles"])),
            molecule["flags"] or "",
            f"{molecule['row']:,}",
            *(format_number(molecule[key]) for key in ("predicted", "low", "high")),
        ]
        for word in ("highest", "lowest")
        for number, molecule in enumerate(predictor[word], start=1)
    ]
    return format_table(EXTREMES, rows, text_columns=3)
