"""A variant of each kind of damage; `python tests/damage_tables.py` makes more."""

import functools
import re

import pytest
from damage_tables import Judge
from damages import DAMAGES
from damages.tables import LABEL, SMILES, Refused, Same, Variant, make_config

from boomlib import registry


@pytest.fixture(scope="module")
def judge():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "load_models", functools.cache(registry.load_models))  # the same for all variants
        yield Judge()


@pytest.mark.parametrize("kind", DAMAGES)
def test_what_becomes_of_a_damaged_table_is_what_was_declared(judge, kind):
    assert judge.find_difference(judge.make(kind, 1, 0)) is None


@pytest.mark.parametrize(
    ("declared", "cells", "said"),
    [
        (Same(), {LABEL: "-48.0001"}, "another result: "),
        (Same(), {SMILES: "CCCCCCCCCCCCN"}, "another result: "),
        (Same(), {LABEL: "x"}, r"lines \[\] were to be rejected, and these are: {7: "),
        (
            Same({7: "no SMILES"}, frozenset({5})),
            {LABEL: "x"},
            "line 7 was to be rejected by 'no SMILES', and is by: y is",
        ),
        (Same({7: "y is not a finite number"}), {LABEL: "x"}, "another result: "),
        (Refused("own.csv", "mend the line"), {LABEL: "x"}, "not refused; rejects: {7: "),
    ],
)
def test_what_is_not_declared_is_told(judge, declared, cells, said):
    table = judge.good
    for column, text in cells.items():
        table = table.with_cells(column, {5: text})
    assert re.match(said, judge.find_difference(Variant(declared, table.write())))


@pytest.mark.parametrize(
    "declared", [Same(), Refused("own.csv, line 2:", "known: y"), Refused("own.yaml", "rename it")]
)
def test_another_refusal_is_told(judge, declared):
    variant = Variant(declared, judge.good.write(), make_config().replace("own/y", "own/x"))
    assert judge.find_difference(variant).startswith("refused: own.yaml: tasks: ")


def test_another_error_is_told(judge, monkeypatch):
    monkeypatch.setattr("damage_tables.make_split", None)
    assert "TypeError" in judge.find_difference(Variant(Same(), judge.good.write()))
