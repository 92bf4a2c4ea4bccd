"""How blocks are divided. That a pipeline makes the updates of one rank is the invariant ranks-parity."""

from __future__ import annotations

import pytest

from harness.training.parallel.pipeline import blocks_of_rank


@pytest.mark.parametrize(("layers", "ranks"), [(2, 2), (5, 2), (7, 3), (4, 4)])
def test_every_block_belongs_to_one_rank_and_shares_are_equal(layers: int, ranks: int) -> None:
    shares = [blocks_of_rank(layers, rank, ranks) for rank in range(ranks)]
    assert [layer for share in shares for layer in share] == list(range(layers))
    sizes = [len(share) for share in shares]
    assert max(sizes) - min(sizes) <= 1
