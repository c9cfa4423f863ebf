import numpy as np
import pyarrow as pa
import pytest
import torch

from boomlib.harness.batches import pad
from boomlib.harness.ragged import Ragged, count_up
from boomlib.models.language.language_model import TokenStore

LISTS = [[5, 6], [], [7], [1, 2, 3, 4], []]
ROWS = [[0], [1], [4, 1], [3, 0, 3, 1, 2], []]


@pytest.fixture
def ragged() -> Ragged:
    return Ragged.from_column(pa.table({"x": LISTS}), "x")


@pytest.mark.parametrize("rows", ROWS, ids=str)
def test_lists_are_found_by_index(ragged, rows):
    index, length = ragged.find(np.array(rows, dtype=int))
    assert ragged.values[index].tolist() == [value for row in rows for value in LISTS[row]]
    assert length.tolist() == [len(LISTS[row]) for row in rows]


@pytest.mark.parametrize("rows", ROWS[:-1], ids=str)
def test_lists_are_padded_to_the_longest(ragged, rows):
    expected = pad([np.array(LISTS[row], dtype=np.int64) for row in rows], 9)
    assert ragged.pad(np.array(rows), 9).tolist() == expected.tolist()


def test_entries_may_be_rows(ragged):
    table = pa.table({"x": [[1, 2, 3, 4], [], [5, 6]]})
    points = Ragged.from_column(table, "x", width=2)
    assert points.length.tolist() == [2, 0, 1]
    assert points.values[points.find(np.array([2, 0]))[0]].tolist() == [[5, 6], [1, 2], [3, 4]]


def test_a_slice_of_a_table_has_its_own_lists():
    table = pa.table({"x": LISTS}).slice(2)
    assert Ragged.from_column(table, "x").values.tolist() == [7, 1, 2, 3, 4]


def test_ranges_are_counted_up():
    start, length = torch.tensor([7, 3, 0]), torch.tensor([2, 0, 3])
    assert count_up(start, length, 5).tolist() == [7, 8, 0, 1, 2]


def test_spellings_of_a_molecule_stand_below_each_other():
    texts = [[np.array([1, 2]), np.array([3])], [np.array([4]), np.array([5, 6, 7])]]
    store = TokenStore.of(texts, 0)
    assert (len(store), store.longest.tolist()) == (2, [2, 3])
    batch = store.take(np.array([1, 0]))
    assert batch.molecules == 2
    assert batch.tokens.tolist() == [[4, 0, 0], [5, 6, 7], [1, 2, 0], [3, 0, 0]]
