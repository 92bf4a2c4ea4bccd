"""Float32 products go where they are fast only if they stay float32."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from harness.machine import matmul
from harness.machine.matmul import LARGEST_ERROR, choose_matmul_route, largest_error, onednn_settings


def in_precision(dtype: torch.dtype) -> float:
    return largest_error(lambda a, b: (a.to(dtype) @ b.to(dtype)).float())


def test_the_measured_error_tells_precisions_apart() -> None:
    assert in_precision(torch.float64) < 1e-7
    assert in_precision(torch.float32) <= LARGEST_ERROR
    assert in_precision(torch.bfloat16) > 1000 * LARGEST_ERROR


def test_a_product_with_the_significand_of_tensorfloat_32_is_not_float32() -> None:
    def product(a: Tensor, b: Tensor) -> Tensor:
        return a.half().float() @ b.half().float()  # ten bits, like TensorFloat-32

    assert largest_error(product) > 100 * LARGEST_ERROR


@pytest.fixture
def _restored() -> object:
    before = onednn_settings().fp32_precision
    yield
    onednn_settings().fp32_precision = before


@pytest.mark.usefixtures("_restored")
def test_whatever_is_chosen_is_float32() -> None:
    route = choose_matmul_route()
    assert route == choose_matmul_route()
    assert largest_error(torch.matmul) <= LARGEST_ERROR
    if route.library == "oneDNN":
        assert route.error is not None
        assert route.error <= LARGEST_ERROR


@pytest.mark.usefixtures("_restored")
def test_a_route_that_lowers_the_precision_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    before = onednn_settings().fp32_precision
    monkeypatch.setattr(matmul, "mkl_keeps_to_avx2", lambda: True)
    monkeypatch.setattr(matmul, "LARGEST_ERROR", 1e-12)  # as if no product were good enough
    route = choose_matmul_route()
    assert route.library == "torch's choice"
    assert route.error is not None
    assert onednn_settings().fp32_precision == before
