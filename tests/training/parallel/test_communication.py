"""Closed forms of what ranks send and how long they wait, against numbers that were computed by hand."""

from __future__ import annotations

from typing import Any

import pytest

from harness.models.config import ModelConfig
from harness.training.parallel.communication import Communication, bubble_share
from harness.training.parallel.config import ONE_PROCESS, Parallel

# A token table of 20 × 8, two blocks of 4 · (8 · 8 + 8) + (8 · 16 + 16) + (16 · 8 + 8) + 2 · 16 values, and
# a final norm of 16 values.
BLOCK = 288 + 144 + 136 + 32
VALUES = 160 + 2 * BLOCK + 16
STATES = 3 * 5 * 8
BOOKKEEPING = 2 * 8  # two means in float32
NORM = 2 * 8


def communication(**changes: Any) -> Communication:
    sizes = {"vocab_size": 20, "d_model": 8, "n_layers": 2, "n_heads": 2, "d_ff": 16, "max_positions": 8}
    settings: dict[str, Any] = {
        "model": ModelConfig.model_validate({**sizes, "position": {"kind": "rotary"}}),
        "micro_batches": 1,
        "rows": 3,
        "length": 5,
        "weight_bytes": 4,
        "forward_bytes": 4,
        "scaled": False,
    }
    return Communication(**{**settings, **changes})


@pytest.mark.parametrize(
    ("parallel", "expected"),
    [
        (ONE_PROCESS, 0),
        (Parallel(data=2), 2 * 4 * VALUES + BOOKKEEPING),
        (Parallel(data=4), 6 * 4 * VALUES + 3 * BOOKKEEPING),
        (Parallel(data=2, shard="full"), 4 * (2 * VALUES + 2 * BLOCK) + BOOKKEEPING + NORM),
        (Parallel(tensor=2), 2 * 4 * 2 * 4 * STATES + NORM),
        (Parallel(pipeline=2, micro_batches=3), 4 * (2 * STATES + 2 * 160) + BOOKKEEPING + NORM),
    ],
    ids=str,
)
def test_the_bytes_are_those_that_were_counted_by_hand(parallel: Parallel, expected: int) -> None:
    assert communication().bytes(parallel) == expected


def test_gradients_are_summed_once_and_everything_else_for_every_micro_batch() -> None:
    one, two = communication(), communication(micro_batches=2)
    assert two.bytes(Parallel(data=2)) == one.bytes(Parallel(data=2))
    for parallel in (Parallel(data=2, shard="full"), Parallel(tensor=2)):
        fixed = NORM + (BOOKKEEPING if parallel.data > 1 else 0)
        assert two.bytes(parallel) - fixed == 2 * (one.bytes(parallel) - fixed)


def test_only_the_outputs_of_products_are_sent_in_16_bits() -> None:
    mixed = communication(forward_bytes=2).bytes(Parallel(tensor=2))
    assert mixed - NORM == (communication().bytes(Parallel(tensor=2)) - NORM) * 3 / 4


def test_ranks_that_have_parts_of_the_gradient_agree_on_a_skip() -> None:
    for parallel in (Parallel(data=2, shard="full"), Parallel(tensor=2), Parallel(pipeline=2)):
        assert communication(scaled=True).bytes(parallel) == communication().bytes(parallel) + 2 * 4
    assert communication(scaled=True).bytes(Parallel(data=2)) == communication().bytes(Parallel(data=2))


@pytest.mark.parametrize(
    ("ranks", "parts", "share"), [(2, 1, 1 / 2), (2, 4, 1 / 5), (4, 1, 3 / 4), (4, 8, 3 / 11)]
)
def test_the_bubble_shrinks_with_the_number_of_parts(ranks: int, parts: int, share: float) -> None:
    assert bubble_share(Parallel(pipeline=ranks, micro_batches=parts)) == pytest.approx(share)
