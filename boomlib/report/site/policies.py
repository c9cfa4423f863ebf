"""The data of NL-MTP's page: what one run says of its policy, and how far the data support it."""

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa

from boomlib.contracts import NO_FOLD, property_values, read_molecules, read_split, read_table
from boomlib.evaluation.places import has_places
from boomlib.evaluation.policy import (
    HELD_OUT,
    POPULATIONS,
    RATIOS,
    contrast_of,
    read_pairs,
    read_policy,
    sweep_of,
)
from boomlib.files import read_json
from boomlib.report.numbers import format_interval, format_number
from boomlib.report.site.board import as_number
from boomlib.report.site.drawings import locate
from boomlib.report.site.pairs import choose_evenly, count_support, list_pairs
from boomlib.report.site.places import describe_places
from boomlib.report.site.script import pack_text, to_json
from boomlib.report.site.source import Source
from boomlib.report.tables.policy import EFFECT_COLUMNS, PAIR_COLUMNS, list_effect_cells, list_pair_cells
from boomlib.runs import Run

BAND = (0.05, 0.95)
"""Quantiles over molecules between which the band lies."""


def describe_policy(source: Source, run: Run) -> dict[str, Any]:
    """All that the page shows of one run whose policy has been scored."""
    path = source.results / f"data/{run.dataset}/molecules.parquet"
    molecules = read_molecules(path)
    fold, _ = read_split(source.results / f"splits/{run.task}/{run.scheme}.parquet")
    ids = np.flatnonzero(fold != NO_FOLD)
    table, facts = read_policy(source.results / f"predictions/{run.stem}/policy.parquet", ids)
    y, fold = property_values(molecules, run.property, path)[ids], fold[ids]
    scores = read_json(source.results / f"policy/{run.stem}.json")
    features = source.results / "features" / run.dataset
    pairs = read_pairs(features / "ch2_pairs.parquet", ids)
    scaffolds = np.array(read_table(features / "scaffolds.parquet")["scaffold"].to_pylist(), dtype=object)[ids]
    smiles = molecules["smiles"].take(pa.array(ids)).to_pylist()
    masks = {name: np.isin(fold, POPULATIONS[name]) for name in scores["populations"]}
    pair_points = list_pairs(y, fold, contrast_of(table)[pairs["left"].to_numpy()], pairs)
    return {
        "unit": scores["unit"],
        "shift": facts["shift"],
        "threshold": facts["threshold"],
        "effects": [list(each) for each in zip(EFFECT_COLUMNS, list_effect_cells(scores), strict=True)],
        "pairs": {
            "columns": PAIR_COLUMNS,
            "rows": list_pair_cells(scores),
            "points": pair_points,
        },
        "estimates": list_estimates(scores),
        "sweep": describe_sweep(table, facts, scores, masks[HELD_OUT]),
        "support": count_support(table["support"].to_numpy(), masks),
        "environments": list_environments(table, scores, masks[HELD_OUT], scaffolds),
        "places": describe_places(y, fold, table, facts, scores, pairs, smiles, masks) if has_places(table) else None,
    }


def list_estimates(scores: dict[str, Any]) -> list[dict[str, Any]]:
    """A row a population and density ratio: n, the contrast with its interval, effective sample size, abstention."""
    return [
        {
            "population": name,
            "ratio": ratio,
            "n": found["n"],
            "psi": as_number(each["psi"]),
            "low": as_number(each["low"]),
            "high": as_number(each["high"]),
            "text": format_number(each["psi"]),
            "interval": format_interval(each["low"], each["high"]),
            "size": f"{each['effective_sample_size']:,.0f}",
            "abstention": f"{100 * found['abstention']:.1f} %",
        }
        for name, found in scores["populations"].items()
        for ratio in RATIOS
        for each in [found["estimates"][ratio]["contrast"]]
    ]


def describe_sweep(
    table: pa.Table, facts: dict[str, Any], scores: dict[str, Any], held_out: np.ndarray
) -> dict[str, Any]:
    """The mean contrast over δ of each population, and the band of the molecules held out."""
    each = (sweep_of(table) - table["m_observed"].to_numpy()[:, None])[held_out]
    low, high = np.quantile(each, BAND, axis=0)
    return {
        "shift": facts["sweep"],
        "low": [as_number(value) for value in low],
        "high": [as_number(value) for value in high],
        "means": {name: found["linearity"]["contrast"] for name, found in scores["populations"].items()},
        "slope": scores["populations"][HELD_OUT]["linearity"]["slope"],
    }


def list_environments(
    table: pa.Table, scores: dict[str, Any], held_out: np.ndarray, scaffolds: np.ndarray
) -> list[dict[str, Any]]:
    """A row a scaffold environment of the molecules held out: their number, mean support, abstention, scaffolds."""
    environment, support = table["environment"].to_numpy()[held_out], table["support"].to_numpy()[held_out]
    rows = []
    for name, abstention in scores["populations"][HELD_OUT]["abstention_by_environment"].items():
        mask = environment == int(name)
        common = Counter(scaffolds[held_out][mask]).most_common(3)
        rows.append(
            {
                "environment": int(name),
                "n": int(mask.sum()),
                "support": as_number(float(support[mask].mean())),
                "abstention": as_number(100 * abstention),
                "scaffolds": ", ".join(f"{scaffold or 'acyclic'} ({count})" for scaffold, count in common),
            }
        )
    return rows


def describe_pairs(source: Source, task: tuple[str, str, str]) -> dict[str, str]:
    """The molecules of the pairs of one task that are shown, by their position in the task, as the page draws them.

    Args:
        source: tables and entries.
        task: dataset, property and scheme.
    """
    dataset, name, scheme = task
    fold, _ = read_split(source.results / f"splits/{dataset}/{name}/{scheme}.parquet")
    ids = np.flatnonzero(fold != NO_FOLD)
    pairs = read_pairs(source.results / f"features/{dataset}/ch2_pairs.parquet", ids)
    smiles = read_molecules(source.results / f"data/{dataset}/molecules.parquet")["smiles"]
    shown = {int(pairs[side][int(at)].as_py()) for at in choose_evenly(pairs.num_rows) for side in ("left", "right")}
    named = {at: smiles[int(ids[at])].as_py() for at in sorted(shown)}
    located = {at: locate(each) for at, each in named.items()}
    return {"molecules": pack_text(to_json({"smiles": named, "located": located, "drawn": {}}))}
