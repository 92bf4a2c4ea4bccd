"""Comparing tensors by name: each by its own size, gradients that are nothing but rounding by the largest."""

from __future__ import annotations

import math
from collections.abc import Collection

import pytest
import torch
from torch import Tensor

from harness.invariants.base import BITWISE, TOLERANCES, Check
from harness.invariants.support.compare import compare_named

LARGE, SMALL = torch.tensor([1.0, -8.0], dtype=torch.float64), torch.tensor([1e-9], dtype=torch.float64)


def against(
    large: Tensor = LARGE, small: Tensor = SMALL, *, gradients: Collection[str] = (), exact: bool = False
) -> Check:
    return compare_named(
        "case",
        reference={"large": LARGE, "small": SMALL},
        observed=lambda: {"large": large, "small": small},
        tolerances=BITWISE if exact else TOLERANCES,
        gradients=gradients,
    )


def test_each_tensor_is_measured_by_its_own_size() -> None:
    check = against(LARGE + 4e-10)
    assert check.passed
    assert check.deviation == pytest.approx(5e-11)
    assert (check.precision, check.tolerance, check.compared) == ("float64", 1e-10, 3)
    check = against(small=SMALL + 4e-10)
    assert (check.passed, check.detail) == (False, "1 of 2 tensors differ, most of all small")


def test_a_gradient_of_rounding_alone_is_measured_by_the_largest_gradient() -> None:
    assert against(small=SMALL + 4e-10, gradients=["large", "small"]).passed
    assert not against(small=SMALL + 1e-8, gradients=["large", "small"]).passed
    assert not against(small=SMALL + 4e-10, gradients=["small"]).passed


def test_bitwise_is_bitwise() -> None:
    assert against(exact=True).passed
    assert not against(torch.nextafter(LARGE, LARGE + 1), exact=True).passed


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_fails(value: float) -> None:
    broken = torch.tensor([1.0, value], dtype=torch.float64)
    check = against(broken)
    assert not check.passed
    assert "most of all large" in check.detail
    assert not against(torch.full_like(LARGE, math.nan)).passed


@pytest.mark.parametrize("other", [LARGE[:1], LARGE.float()])
def test_another_shape_or_type_fails(other: Tensor) -> None:
    assert math.isinf(against(other).deviation)


def test_a_missing_tensor_and_code_that_raises_fail() -> None:
    missing = compare_named(
        "case", reference={"a": LARGE, "b": LARGE}, observed=lambda: {"a": LARGE, "c": LARGE}
    )
    assert (missing.passed, missing.compared) == (False, 0)
    assert missing.detail == "only one side has b, c"

    def broken() -> dict[str, Tensor]:
        raise RuntimeError("no\nmemory")

    assert compare_named("case", reference={"a": LARGE}, observed=broken).detail == "RuntimeError: no memory"


def test_nothing_to_compare_fails() -> None:
    nothing = {"a": LARGE[:0]}
    assert compare_named("case", reference=nothing, observed=lambda: nothing).detail == "nothing was compared"
