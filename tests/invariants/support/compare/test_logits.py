"""Comparing logits: what passes, what fails, and why."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from harness.invariants.base import BITWISE, TOLERANCES, Check
from harness.invariants.support.compare import compare

REFERENCE = torch.tensor([[[1.0, 2.0, 4.0], [3.0, 1.0, 0.0]]], dtype=torch.float64)


def against(
    observed: Tensor, *, reference: Tensor = REFERENCE, tokens: bool = False, exact: bool = False
) -> Check:
    return compare(
        "case",
        reference=reference,
        observed=lambda: observed,
        tokens=tokens,
        tolerances=BITWISE if exact else TOLERANCES,
    )


def test_deviation_is_relative_to_the_largest_logit() -> None:
    moved = REFERENCE.clone()
    moved[0, 1, 2] += 2e-10
    check = against(moved)
    assert check.passed
    assert check.deviation == pytest.approx(5e-11)
    assert (check.tolerance, check.precision, check.compared) == (1e-10, "float64", 2)
    assert not against(moved, exact=True).passed


def test_beyond_tolerance_it_names_the_first_place() -> None:
    moved = REFERENCE.clone()
    moved[0, 1, 2] += 1e-9
    check = against(moved)
    assert (check.passed, check.detail) == (False, "logits differ, first at position 1 of row 0")
    assert against(moved.float(), reference=REFERENCE.float()).passed


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_fails(value: float) -> None:
    broken = REFERENCE.clone()
    broken[0, 0, 0] = value
    assert not against(broken).passed


def test_nothing_to_compare_fails() -> None:
    check = against(REFERENCE[:, :0], reference=REFERENCE[:, :0])
    assert (check.passed, check.compared, check.detail) == (False, 0, "nothing was compared")


def test_another_shape_fails_instead_of_being_broadcast() -> None:
    assert against(REFERENCE[:, :1]).detail == "shape (1, 1, 3) instead of (1, 2, 3)"


def near_ties(positions: int, *, gap: float) -> Tensor:
    """100 positions, the first ones with their two best logits `gap` apart."""
    logits = torch.tensor([100.0, 0.0, -1.0], dtype=torch.float64).repeat(1, 100, 1)
    logits[0, :positions, 1] = 100.0 - gap
    return logits


def test_at_most_one_position_in_a_hundred_may_be_undecided() -> None:
    one, two = near_ties(1, gap=1e-5), near_ties(2, gap=1e-5)
    assert (
        against(one, reference=one, tokens=True).passed,
        against(one, reference=one, tokens=True).skipped,
    ) == (True, 1)
    check = against(two, reference=two, tokens=True)
    assert (check.passed, check.detail) == (False, "2 of 100 positions have no decisive token")


def test_tokens_must_agree_where_the_gap_is_decisive_even_within_tolerance() -> None:
    reference = near_ties(1, gap=2e-4).float()
    other = reference.clone()
    other[0, 0, :2] = reference[0, 0, :2].flip(0)
    check = against(other, reference=reference, tokens=True)
    assert check.deviation <= check.tolerance
    assert (check.passed, check.detail) == (False, "1 of 100 tokens differ")
