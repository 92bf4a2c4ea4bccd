"""Caches: what they return, what they hold, what they refuse."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch import Tensor

from harness.models.cache import Cache, CacheShape, make_cache
from harness.models.config import CachedToken, CacheKind

KINDS = [kind for kind in get_args(CacheKind) if kind != "none"]
LAYERS, BATCH, HEADS, WIDTH, CAPACITY = 3, 2, 4, 5, 40
ONE_POSITION = 2 * LAYERS * BATCH * HEADS * WIDTH * 4


def new(kind: CacheKind, *, capacity: int = CAPACITY) -> Cache:
    shape = CacheShape(
        layers=LAYERS,
        batch=BATCH,
        token=CachedToken(HEADS, WIDTH, WIDTH),
        capacity=capacity,
        dtype=torch.float32,
        device=torch.device("cpu"),
    )
    cache = make_cache(kind, shape)
    assert cache
    return cache


def random(tokens: int) -> Tensor:
    return torch.randn(BATCH, HEADS, tokens, WIDTH)


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_gets_back_all_that_was_appended_to_it(kind: CacheKind) -> None:
    cache = new(kind)
    keys: list[Tensor] = [torch.empty(BATCH, HEADS, 0, WIDTH)] * LAYERS
    values = list(keys)
    for tokens in (7, 1, 3, 1, 9, 1, 18):
        for layer in range(LAYERS):
            k, v = random(tokens), random(tokens)
            keys[layer], values[layer] = torch.cat((keys[layer], k), 2), torch.cat((values[layer], v), 2)
            got_k, got_v = cache.append(layer, k, v)
            assert torch.equal(got_k, keys[layer])
            assert torch.equal(got_v, values[layer])
        assert cache.length == keys[0].shape[2]
    assert cache.length == CAPACITY


@pytest.mark.parametrize(
    ("kind", "held"),
    [
        ("dynamic", {0: 0, 16: 16, 17: 17, 33: 33}),
        ("static", {0: 40, 33: 40}),
        ("doubling", {0: 16, 16: 16, 17: 32, 33: 64}),
    ],
)
def test_bytes_are_those_of_the_positions_that_there_is_room_for(
    kind: CacheKind, held: dict[int, int]
) -> None:
    for length, positions in held.items():
        cache = new(kind)
        for layer in range(LAYERS):
            if length:
                cache.append(layer, random(length), random(length))
        assert cache.nbytes == positions * ONE_POSITION


def test_static_returns_views_of_one_buffer() -> None:
    cache = new("static")
    first, _ = cache.append(0, random(4), random(4))
    second, _ = cache.append(0, random(1), random(1))
    assert first.data_ptr() == second.data_ptr()


def test_static_refuses_more_than_its_capacity() -> None:
    cache = new("static", capacity=4)
    with pytest.raises(ValueError, match="a static cache made for 4 positions cannot hold 5"):
        cache.append(0, random(5), random(5))


@pytest.mark.parametrize("kind", KINDS)
def test_the_padding_mask_grows_with_the_keys(kind: CacheKind) -> None:
    cache = new(kind)
    assert cache.append_valid(None, batch=BATCH, tokens=3) is None
    for layer in range(LAYERS):
        cache.append(layer, random(3), random(3))
    valid = torch.tensor([[False, True], [True, True]])
    late = cache.append_valid(valid, batch=BATCH, tokens=2)
    for layer in range(LAYERS):
        cache.append(layer, random(2), random(2))
    later = cache.append_valid(None, batch=BATCH, tokens=1)
    assert late is not None
    assert later is not None
    assert late.tolist() == [[True, True, True, False, True], [True] * 5]
    assert later.tolist() == [[True, True, True, False, True, True], [True] * 6]
