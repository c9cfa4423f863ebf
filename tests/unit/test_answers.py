"""Predictions handed over in memory: every form is laid beside the right molecules, and what is wrong is named."""

import numpy as np
import pandas as pd
import pytest

from boomlib.evaluation.answers import align_answers
from boomlib.files import ContractError

IDS = np.array([0, 1, 2, 4, 5, 7])
SMILES = np.array(["C", "CC", "CCC", "CO", "N", "O"], dtype=object)
FOLD = np.array(["train", "ood", "valid", "id", "train", "ood"])
NAN = np.nan
TEST = [NAN, 1.0, NAN, 2.0, NAN, 3.0]
ALL = [NAN, 1.0, 9.0, 2.0, NAN, 3.0]


def align(answers, smiles=SMILES):
    return align_answers(answers, IDS, smiles, FOLD)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([1, 2, 3], TEST),
        (np.array([1, 2, 3], dtype=np.float32), TEST),
        ({7: 3, 4: 2, 1: 1}, TEST),
        ({"O": 3, "CO": 2, "CC": 1, "CCC": 9}, ALL),
        (pd.Series([9, 1, 3, 2], index=[2, 1, 7, 4]), ALL),
        (pd.Series([1, 3, 2], index=["CC", "O", "CO"]), TEST),
        (pd.DataFrame({"molecule_id": [4, 7, 1], "y_pred": [2, 3, 1]}), TEST),
        (pd.DataFrame({"smiles": ["CCC", "CO", "O", "CC"], "y_pred": [9, 2, 3, 1], "more": "x"}), ALL),
    ],
)
def test_every_form_is_laid_beside_its_molecules(answers, expected):
    np.testing.assert_array_equal(align(answers), expected)


def test_a_smiles_answers_for_every_molecule_that_is_written_so():
    twice = np.array(["C", "O", "CCC", "CO", "N", "O"], dtype=object)
    np.testing.assert_array_equal(align({"O": 3, "CO": 2}, twice), [NAN, 3, NAN, 2, NAN, 3])
    valid_too = np.array(["C", "CC", "O", "CO", "N", "O"], dtype=object)  # nobody has answered for valid
    np.testing.assert_array_equal(align({"O": 3, "CO": 2, "CC": 1}, valid_too), TEST)


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([1, 2], r"an array of shape \(2,\) for 3 molecules of `test`"),
        (np.ones((3, 1)), r"an array of shape \(3, 1\) for 3 molecules"),
        ([1, NAN, 3], r"1 predictions that are no finite numbers \(molecule_id 4\)"),
        ({1: 1, 4: np.inf, 7: 3}, r"no finite numbers \(molecule_id 4\)"),
        ({1: 1}, r"2 missing molecules \(molecule_id 4, 7\)"),
        ({}, r"3 missing molecules \(molecule_id 1, 4, 7\)"),
        (
            {1: 1, 4: 1, 7: 1, 0: 1, 99: 1},
            r"2 unknown molecules, neither of `test` nor of `valid` \(molecule_id 0, 99\)",
        ),
        ({"CC": 1, "CO": 1, "O": 1, "CCCC": 1}, r"1 unknown molecules, .* \(SMILES CCCC\)"),
        ({"CC": 1, "CCC": 1}, r"2 missing molecules \(SMILES CO, O\)"),
        (pd.DataFrame({"molecule_id": [1, 1, 4, 7], "y_pred": 1.0}), r"1 doubled molecules \(molecule_id 1\)"),
        (pd.DataFrame({"id": [1], "y_pred": [1]}), "a table with the columns id, y_pred; it needs `y_pred`, and"),
        ({1.5: 1}, r"by 1\.5, which is no molecule_id and no SMILES"),
        (["a", "b", "c"], "not all of them are numbers"),
    ],
)
def test_what_is_wrong_is_named(answers, message):
    with pytest.raises(ContractError, match=message):
        align(answers)


def test_valid_is_answered_whole_or_not_at_all():
    fold = np.array(["train", "ood", "valid", "id", "valid", "ood"])
    with pytest.raises(ContractError, match=r"1 missing molecules \(molecule_id 5\)"):
        align_answers({1: 1, 2: 9, 4: 2, 7: 3}, IDS, SMILES, fold)
