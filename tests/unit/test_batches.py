import numpy as np

from boomlib.harness.batches import draw_batches, pad, sort_into_batches


def test_an_epoch_has_every_sequence_once_and_little_padding():
    length = np.random.default_rng(0).integers(5, 60, 1000)
    batches = draw_batches(length, 64, np.random.default_rng(1))
    assert sorted(np.concatenate(batches)) == list(range(1000))
    filled = sum(len(rows) * length[rows].max() for rows in batches)
    assert filled < 1.2 * length.sum()


def test_batches_for_prediction_have_every_sequence_once_by_length():
    length = np.array([5, 2, 9, 2, 7])
    assert [batch.tolist() for batch in sort_into_batches(length, 2)] == [[1, 3], [0, 4], [2]]


def test_sequences_are_padded_behind_their_ends():
    assert pad([np.array([4, 5, 6]), np.array([7])], 1).tolist() == [[4, 5, 6], [7, 1, 1]]
