"""Predictions that somebody hands over in memory, laid beside the molecules of the task that they answer."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from boomlib.contracts import PREDICTED_FOLDS, listed, shorten
from boomlib.files import ContractError

Answers = Sequence[float] | np.ndarray | Mapping[int, float] | Mapping[str, float] | pd.Series | pd.DataFrame
TEST = ("id", "ood")
REMEDY = "give one finite number for each molecule of `test`, and for each of `valid` or for none of it"


def align_answers(answers: Answers, molecule_id: np.ndarray, smiles: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Lay predictions beside the molecules of a task.

    Args:
        answers: predictions in native units, for all of the test molecules and for all of valid or none of it: an
            array in the order of the test molecules alone; a mapping or a Series by molecule_id or by SMILES as the
            task writes it; or a DataFrame with ``y_pred`` and ``molecule_id`` or, without that, ``smiles``. A SMILES
            answers for every molecule that is written so.
        molecule_id: of the task's molecules, int64 [n].
        smiles: str [n].
        fold: str [n].

    Returns:
        Float64 [n]; NaN on train, and on valid if there is nothing for it.

    Raises:
        ContractError: molecules are missing, doubled or unknown, a prediction is no finite number, or the answers
            have none of these forms.
    """
    test, asked = np.isin(fold, TEST), np.isin(fold, PREDICTED_FOLDS)
    keys, values = read_answers(answers, molecule_id[test])
    by_smiles = pd.api.types.is_string_dtype(keys)
    names = pd.Index(smiles if by_smiles else molecule_id)
    # with a SMILES that test has too nobody has meant to answer for valid
    wanted = asked if (~keys.isin(names[test])).any() else test
    for problem, wrong in (
        ("doubled molecules", keys[keys.duplicated()].unique()),
        ("unknown molecules, neither of `test` nor of `valid`", keys[~keys.isin(names[asked])]),
        ("missing molecules", names[wanted & ~names.isin(keys)]),
        ("predictions that are no finite numbers", keys[~np.isfinite(values)]),
    ):
        if len(wrong):
            shown = [shorten(str(each)) for each in wrong[:6]]  # one more than are listed
            kind = "SMILES" if by_smiles else "molecule_id"
            raise ContractError(f"predictions: {len(wrong)} {problem} ({kind} {listed(shown)}); {REMEDY}")
    aligned = np.full(len(fold), np.nan)
    aligned[wanted] = values[keys.get_indexer(names[wanted])]
    return aligned


def read_answers(answers: Answers, test: np.ndarray) -> tuple[pd.Index, np.ndarray]:
    """What predictions are for, molecule_id or SMILES, and their values, float64 [answers].

    ``test`` is molecule_id of the test molecules, for predictions in their order.

    Raises:
        ContractError: they have no form that :func:`align_answers` reads.
    """
    keys: pd.Index
    numbers: object
    if isinstance(answers, pd.DataFrame):
        by = next((name for name in ("molecule_id", "smiles") if name in answers), None)
        if by is None or "y_pred" not in answers:
            raise ContractError(
                f"predictions: a table with the columns {', '.join(map(str, answers.columns))}; it needs `y_pred`, "
                "and `molecule_id` or `smiles`"
            )
        keys, numbers = pd.Index(answers[by]), answers["y_pred"]
    elif isinstance(answers, pd.Series | Mapping):
        series = pd.Series(answers)
        keys, numbers = series.index, series
    else:
        keys, numbers = pd.Index(test), answers
    try:
        values = np.asarray(numbers, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ContractError(f"predictions: not all of them are numbers ({error}); {REMEDY}") from None
    if values.shape != keys.shape:
        raise ContractError(
            f"predictions: an array of shape {values.shape} for {len(keys)} molecules of `test`; {REMEDY}"
        )
    if not (pd.api.types.is_integer_dtype(keys) or pd.api.types.is_string_dtype(keys)) and len(keys):
        raise ContractError(
            f"predictions: by {keys[0]}, which is no molecule_id and no SMILES; give an array in the order of "
            "`test`, or the molecule_id or SMILES of each"
        )
    return keys, values
