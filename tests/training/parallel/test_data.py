"""What a rank takes of a micro-batch. That ranks make the updates of one is the invariant ranks-parity."""

from __future__ import annotations

import numpy as np
import pytest

from harness.models.config import IGNORED_TARGET
from harness.training.objective import MicroBatch
from harness.training.parallel.data import DataRanks


def batch(rows: int) -> MicroBatch:
    tokens = np.arange(rows * 5).reshape(rows, 5)
    targets = tokens + 1
    targets[0, 1:] = IGNORED_TARGET
    return tokens, targets


@pytest.mark.parametrize("rows", [2, 3, 7, 8])
def test_the_ranks_together_take_every_row_once(rows: int) -> None:
    shares = [DataRanks(rank=rank, ranks=2).share([batch(rows)], [0]) for rank in range(2)]
    for side, array in enumerate(batch(rows)):
        assert np.array_equal(np.concatenate([taken[0][side] for taken, _ in shares]), array)
    counts = [count for _, (count,) in shares]
    assert sum(counts) == 1 + 5 * (rows - 1)
    assert counts[0] != counts[1]


def test_a_rank_without_rows_takes_part_with_a_row_that_does_not_count() -> None:
    (((tokens, targets),), counts) = DataRanks(rank=2, ranks=3).share([batch(2)], [6])
    assert tokens.shape == targets.shape == (1, 5)
    assert list(counts) == [0]
    assert np.all(targets == IGNORED_TARGET)


def test_ranks_draw_different_random_numbers_from_one_seed() -> None:
    assert len({DataRanks(rank=rank, ranks=3).seed(7) for rank in range(3)}) == 3
    assert DataRanks(rank=0, ranks=3).seed(7) == 7
