"""Caches whose rows are reordered, dropped, multiplied and rolled back: each against plain tensors."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch import Tensor

from harness.models.cache import FEW_POSITIONS, Cache, CacheShape, make_cache
from harness.models.config import CachedToken, CacheKind

KINDS = [kind for kind in get_args(CacheKind) if kind != "none"]
LAYERS, BATCH, HEADS, WIDTH = 2, 4, 3, 5


@pytest.fixture(params=[40, FEW_POSITIONS + 1], ids=["by position", "by row"])
def capacity(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(params=KINDS)
def cache(request: pytest.FixtureRequest, capacity: int) -> Cache:
    shape = CacheShape(
        layers=LAYERS,
        batch=BATCH,
        token=CachedToken(HEADS, WIDTH, WIDTH),
        capacity=capacity,
        dtype=torch.float64,
        device=torch.device("cpu"),
    )
    made = make_cache(request.param, shape)
    assert made
    return made


class Plain:
    """Every row a list of keys, told apart from its values by their sign."""

    def __init__(self, cache: Cache) -> None:
        self.cache = cache
        self.rows: list[list[Tensor]] = [[] for _ in range(BATCH)]
        self.generator = torch.Generator().manual_seed(0)

    def feed(self, tokens: int, *, valid: Tensor | None = None) -> Tensor | None:
        """Append to both, and compare all that the cache gives back; padding is not compared."""
        new = torch.randn(len(self.rows), HEADS, tokens, WIDTH, generator=self.generator, dtype=torch.float64)
        mask = self.cache.append_valid(valid, batch=len(self.rows), tokens=tokens)
        real = torch.ones(len(self.rows), tokens, dtype=torch.bool) if valid is None else valid
        for row, past in enumerate(self.rows):
            past.extend(new[row, :, t] for t in range(tokens) if real[row, t])
        for layer in range(LAYERS):
            keys, values = self.cache.append(layer, new + layer, -new - layer)
            assert torch.equal(keys, -values) or mask is not None
            for row, expected in enumerate(self.rows):
                visible = torch.ones(keys.shape[2], dtype=torch.bool) if mask is None else mask[row]
                assert torch.equal(keys[row][:, visible], torch.stack(expected, dim=1) + layer)
                assert torch.equal(values[row][:, visible], -torch.stack(expected, dim=1) - layer)
        return mask

    def take(self, rows: list[int]) -> None:
        self.rows = [list(self.rows[row]) for row in rows]


@pytest.fixture
def plain(cache: Cache) -> Plain:
    return Plain(cache)


@pytest.mark.parametrize("rows", [[0, 1, 2, 3], [3, 3, 0, 0], [1, 2, 3, 0], [2, 2, 2, 2]])
def test_reordered_rows_go_on_as_the_rows_they_were_told_to_be(
    cache: Cache, plain: Plain, rows: list[int]
) -> None:
    plain.feed(17)
    cache.reorder(rows)
    plain.take(rows)
    plain.feed(1)
    plain.feed(3)


def test_reordering_leaves_the_shared_prefix_where_it_is(cache: Cache, plain: Plain) -> None:
    """Here the prefixes differ, so that it shows that they were not copied."""
    plain.feed(6)
    plain.feed(2)
    cache.reorder([1, 1, 0, 3], shared=[6] * BATCH)
    old = plain.rows
    plain.rows = [old[row][:6] + old[origin][6:] for row, origin in enumerate([1, 1, 0, 3])]
    plain.feed(1)


def test_each_row_may_share_another_number_of_positions(cache: Cache, plain: Plain) -> None:
    plain.feed(4)
    for rows, tokens in (([0, 0, 2, 3], 2), ([0, 1, 2, 2], 3)):
        cache.reorder(rows)
        plain.take(rows)
        plain.feed(tokens)
    cache.reorder([1, 1, 3, 3], shared=[4, 0, 6, 0])
    plain.take([1, 1, 3, 3])
    plain.feed(1)


def test_reordering_moves_nothing_where_nothing_changes(cache: Cache, plain: Plain) -> None:
    plain.feed(5)
    buffers = [tensor.data_ptr() for tensor in cache._keys]
    versions = [tensor._version for tensor in cache._keys]
    cache.reorder(range(BATCH))
    assert [tensor.data_ptr() for tensor in cache._keys] == buffers
    assert [tensor._version for tensor in cache._keys] == versions
    cache.reorder([1, 0, 2, 3])
    assert [tensor.data_ptr() for tensor in cache._keys] == buffers


@pytest.mark.parametrize("rows", [[2], [0, 3], [3, 1, 0], [0, 0, 1, 1, 2, 2, 3, 3]])
def test_kept_rows_go_on_and_the_others_free_their_memory(
    cache: Cache, plain: Plain, rows: list[int]
) -> None:
    plain.feed(20)
    before = cache.nbytes
    cache.keep_rows(torch.tensor(rows))
    assert (cache.batch, cache.length) == (len(rows), 20)
    assert cache.nbytes * BATCH == before * len(rows)
    plain.take(rows)
    plain.feed(1)
    plain.feed(7)


def test_rolled_back_alike_no_mask_is_needed(cache: Cache, plain: Plain) -> None:
    plain.feed(20)
    cache.truncate(13)
    plain.rows = [row[:13] for row in plain.rows]
    assert plain.feed(4) is None
    cache.truncate(torch.full((BATCH,), 15))
    plain.rows = [row[:15] for row in plain.rows]
    assert plain.feed(1) is None
    assert cache.length == 16


def test_rows_rolled_back_to_different_lengths_stand_behind_padding(cache: Cache, plain: Plain) -> None:
    plain.feed(10)
    for dropped, tokens in (([0, 2, 1, 3], 3), ([3, 0, 1, 1], 1), ([5, 6, 6, 6], 2)):
        lengths = cache.length - torch.tensor(dropped)
        cache.truncate(lengths)
        plain.rows = [row[: len(row) - last] for row, last in zip(plain.rows, dropped, strict=True)]
        assert cache.length == max(len(row) for row in plain.rows)
        mask = plain.feed(tokens)
        assert mask is not None
        assert mask.sum(dim=1).tolist() == [len(row) for row in plain.rows]


def test_padding_that_no_row_needs_any_longer_is_dropped(cache: Cache, plain: Plain) -> None:
    valid = torch.arange(9) >= torch.tensor([[0], [4], [6], [4]])
    plain.feed(9, valid=valid)
    cache.keep_rows(torch.tensor([1, 2, 3]))
    plain.take([1, 2, 3])
    assert cache.length == 5
    mask = plain.feed(1)
    assert mask is not None
    assert mask.tolist() == [[True] * 6, [False, False, True, True, True, True], [True] * 6]
    cache.keep_rows(torch.tensor([0, 2]))
    plain.take([0, 2])
    assert plain.feed(1) is None


def test_what_is_not_held_cannot_be_kept(cache: Cache, plain: Plain) -> None:
    plain.feed(3)
    with pytest.raises(ValueError, match="cut to 4 positions, because it holds 3"):
        cache.truncate(4)
    with pytest.raises(ValueError, match="cut to 5 positions, because it holds 3"):
        cache.truncate(torch.tensor([1, 5, 2, 3]))


def sources(cache: Cache, layer: int) -> list[float]:
    cross = cache.cross(layer)
    assert cross is not None
    assert torch.equal(cross[0], -cross[1])
    return cross[0][:, 0, 0, 0].tolist()


def test_sources_are_kept_once_and_never_grow(cache: Cache, plain: Plain) -> None:
    assert cache.cross(0) is None
    plain.feed(16)
    without = cache.nbytes
    for layer in range(LAYERS):
        k = (
            torch.arange(4.0, dtype=torch.float64)[:, None, None, None].repeat(1, HEADS, 6, WIDTH)
            + 10 * layer
        )
        cache.keep_cross(layer, k, -k)
    assert cache.nbytes == without + 2 * LAYERS * BATCH * HEADS * 6 * WIDTH * 8
    assert sources(cache, 1) == [10.0, 11.0, 12.0, 13.0]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([0, 0, 1, 1, 2, 2, 3, 3], [0, 1, 2, 3]),
        ([0, 2, 3], [0, 2, 3]),
        ([1, 1, 1], [1]),
        ([3, 3, 0, 0], [3, 0]),
        ([0, 1, 1], [0, 1, 1]),
    ],
)
def test_rows_of_one_source_share_it(cache: Cache, rows: list[int], expected: list[float]) -> None:
    k = torch.arange(4.0)[:, None, None, None].repeat(1, HEADS, 6, WIDTH)
    cache.keep_cross(0, k, -k)
    cache.keep_rows(torch.tensor(rows))
    assert sources(cache, 0) == expected


def test_sources_follow_the_rows_that_share_them(cache: Cache) -> None:
    k = torch.arange(4.0)[:, None, None, None].repeat(1, HEADS, 6, WIDTH)
    cache.keep_cross(0, k, -k)
    cache.keep_rows(torch.arange(4).repeat_interleave(3))
    held = cache.cross(0)
    assert held is not None
    cache.reorder([2, 1, 1, 3, 4, 5, 6, 6, 6, 9, 9, 9])
    still = cache.cross(0)
    assert still is not None
    assert still[0].data_ptr() == held[0].data_ptr() == k.data_ptr()
    cache.keep_rows(torch.tensor([3, 4, 5, 9, 10, 11]))
    assert sources(cache, 0) == [1.0, 3.0]
    cache.keep_rows(torch.tensor([1, 4, 5]))
    assert sources(cache, 0) == [1.0, 3.0, 3.0]
