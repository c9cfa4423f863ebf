"""The data of NL-MTP's page on a policy with a place: pairs at their place, and how far the data support places."""

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
from rdkit import Chem, rdBase

from boomlib.evaluation.places import flat, list_places, place_contrasts, place_support
from boomlib.evaluation.policy import HELD_OUT
from boomlib.features.context import COUNTS, HOMOLOGOUS, count
from boomlib.report.numbers import format_interval, format_number
from boomlib.report.site.board import as_number
from boomlib.report.site.pairs import choose_evenly, count_support, list_pairs

KINDS = 12
"""Kinds of places that are listed, the commonest ones."""
PREFIX = "homologous_"
BONDS = {"nn_bond": "N–N bond", "no_bond": "N–O bond", "oo_bond": "O–O bond"}


def describe_places(
    y: np.ndarray,
    fold: np.ndarray,
    table: pa.Table,
    facts: dict[str, Any],
    scores: dict[str, Any],
    pairs: pa.Table,
    smiles: list[str],
    masks: dict[str, np.ndarray],
) -> dict[str, Any]:
    """What a policy with a place says of pairs at their place, and how far the data support places, by kind."""
    names = np.array(smiles, dtype=object)
    contrast, _ = place_contrasts(table, pairs, names)
    molecule, support = place_support(table)
    random = scores["places"]["populations"][HELD_OUT]
    effect = random["estimates"]["contrast"]
    return {
        "points": list_pairs(y, fold, contrast, pairs),
        "support": count_support(support, {name: mask[molecule] for name, mask in masks.items()}),
        "kinds": list_kinds(table, names, molecule, support, masks[HELD_OUT], facts["threshold"]),
        "random": {
            "contrast": format_number(effect["psi"]),
            "interval": format_interval(effect["low"], effect["high"]),
            "size": f"{effect['effective_sample_size']:,.0f}",
            "abstention": f"{100 * random['abstention']:.1f} %",
        },
    }


def list_kinds(
    table: pa.Table,
    smiles: np.ndarray,
    molecule: np.ndarray,
    support: np.ndarray,
    held_out: np.ndarray,
    threshold: float,
) -> list[dict[str, Any]]:
    """A row a kind of place, by what an insertion there changes of the context, commonest first.

    Of the places of the molecules held out; of many, evenly chosen ones. Contrasts are
    those of all places, also of those that are refused.
    """
    (_, product), (_, outcome) = (list_places(table, name) for name in ("place_product", "place_outcome"))
    contrast = outcome - table["m_grouped"].to_numpy()[molecule]
    places = np.flatnonzero(held_out[molecule])
    places = places[choose_evenly(len(places))]
    kinds = np.array([describe_change(smiles[molecule[at]], product[at]) for at in places], dtype=object)
    rows = []
    for kind, n in Counter(kinds.tolist()).most_common(KINDS):
        own = places[kinds == kind]
        rows.append(
            {
                "kind": kind,
                "share": as_number(100 * n / len(places)),
                "support": as_number(float(support[own].mean())),
                "abstention": as_number(100 * float((support[own] < threshold).mean())),
                "contrast": format_number(float(contrast[own].mean())),
            }
        )
    return rows


def describe_change(parent: str, product: str) -> str:
    """What an insertion changes of the homologous context, as ``−alcohol +ether``; ``nothing`` of most."""
    with rdBase.BlockLogs():
        before, after = (count(Chem.MolFromSmiles(each)) for each in (flat(parent), product))
    change = {name: round(new - old) for name, old, new in zip(COUNTS, before, after, strict=True)}
    names = [each.removeprefix(PREFIX) for each in HOMOLOGOUS]
    named = [(change[name], BONDS.get(name, name.replace("_", " "))) for name in names]
    words = [
        f"{'+' if by > 0 else '−'}{f'{abs(by)} ' if abs(by) > 1 else ''}{name}" for by, name in sorted(named) if by
    ]
    return " ".join(words) or "nothing"
