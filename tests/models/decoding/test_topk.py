"""The largest values by blocks are the largest of all."""

from __future__ import annotations

import pytest
import torch

from harness.models.decoding.topk import BLOCK, largest


@pytest.mark.parametrize("width", [3, BLOCK, 6 * BLOCK, 20 * BLOCK, 20 * BLOCK + 1, 21 * BLOCK - 1])
@pytest.mark.parametrize("count", [1, 3])
def test_they_are_those_of_topk(width: int, count: int) -> None:
    drawn = torch.randn(50, width, generator=torch.Generator().manual_seed(width), dtype=torch.float64)
    values, places = largest(drawn, count)
    expected = drawn.topk(count)
    assert torch.equal(values, expected.values)
    assert torch.equal(places, expected.indices)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_largest_of_a_row_in_every_precision(dtype: torch.dtype) -> None:
    drawn = torch.randn(50, 700, generator=torch.Generator().manual_seed(0)).to(dtype)
    values, places = largest(drawn, 1)
    assert torch.equal(values, drawn.amax(dim=-1, keepdim=True))
    assert torch.equal(drawn.gather(1, places), values)


@pytest.mark.parametrize("column", [0, 20 * BLOCK - 1, 20 * BLOCK, 20 * BLOCK + 6])
def test_several_in_one_block_are_found_wherever_it_is(column: int) -> None:
    values = torch.zeros(1, 20 * BLOCK + 7)
    start = min(column, 20 * BLOCK + 4)
    values[0, start : start + 3] = torch.tensor([1.0, 3.0, 2.0])
    assert largest(values, 3)[1].tolist() == [[start + 1, start + 2, start]]


def test_equal_values_are_taken_once_each() -> None:
    values, places = largest(torch.zeros(2, 20 * BLOCK), 5)
    assert not values.any()
    assert all(len(set(row)) == 5 for row in places.tolist())


def test_not_a_number_and_infinities_are_seen() -> None:
    values = torch.full((2, 20 * BLOCK), -torch.inf)
    values[0, 700] = torch.nan
    values[1, 701] = torch.inf
    top, places = largest(values, 1)
    assert top[0].isnan().all()
    assert top[1].isposinf().all()
    assert places.tolist() == [[700], [701]]
