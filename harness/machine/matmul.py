"""Matrix products on this machine: the library that computes them on a CPU, and their highest speed.

torch gives float32 products to MKL. On AMD's processors MKL uses AVX2 only, which reaches about 40 % of the
speed of AVX-512. oneDNN uses AVX-512 there, and torch gives it float32 products if
`torch.backends.mkldnn.matmul.fp32_precision` allows bfloat16. Whether oneDNN then really lowers the precision
depends on the processor (with AMX it does), so this is measured first. The choice is the same for every arm.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import torch
from torch import Tensor

from harness.telemetry.clock import Clock

CPU_SIZE, DEVICE_SIZE = 768, 8192
ENOUGH_SECONDS, MOST_PRODUCTS = 0.4, 60

PRECISIONS = MappingProxyType(
    {"fp64": torch.float64, "fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
)
"""The types of products by their names in a calibration and in the notes of a trial."""

# Relative errors of products in float32 are about 3e-7, in TensorFloat-32 3e-4, in bfloat16 3e-3.
LARGEST_ERROR = 1e-6

# Rows, inner width, columns: a decoding step, a training step, an output projection, a head's attention, odd
# sizes.
SHAPES = ((1, 256, 1024), (16, 256, 1024), (512, 256, 768), (64, 256, 2048), (128, 64, 128), (33, 301, 255))


@dataclass(frozen=True, kw_only=True, slots=True)
class MatmulRoute:
    """The library that computes float32 products.

    `error` is the largest relative error of oneDNN (in the Frobenius norm, against float64), `plain_error` is
    that of torch's choice, and both are None if they were not measured.
    """

    library: Literal["torch's choice", "oneDNN"]
    error: float | None
    plain_error: float | None


def choose_matmul_route() -> MatmulRoute:
    """Give float32 products to oneDNN if MKL is slow and oneDNN keeps their precision; return the choice.

    The choice depends on the processor and on torch alone and never on a timing, so a machine always makes
    the same choice.
    """
    if not (torch.backends.mkldnn.is_available() and mkl_keeps_to_avx2()):  # type: ignore[no-untyped-call]
        return MatmulRoute(library="torch's choice", error=None, plain_error=None)
    settings = onednn_settings()
    before = settings.fp32_precision
    settings.fp32_precision = "ieee"
    plain_error = largest_error(torch.matmul)
    settings.fp32_precision = "bf16"
    error = largest_error(torch.matmul)
    if error <= LARGEST_ERROR:
        return MatmulRoute(library="oneDNN", error=error, plain_error=plain_error)
    settings.fp32_precision = before
    return MatmulRoute(library="torch's choice", error=error, plain_error=plain_error)


def onednn_settings() -> Any:
    """torch's settings of oneDNN's matrix products, which torch's type hints leave out."""
    module: Any = torch.backends.mkldnn
    return module.matmul


def largest_error(product: Callable[[Tensor, Tensor], Tensor]) -> float:
    """The largest relative error of `product` in float32 over `SHAPES`, transposed factors and batches."""
    generator = torch.Generator().manual_seed(0)
    errors = []
    for rows, inner, columns in SHAPES:
        a = torch.randn(rows, inner, generator=generator)
        b = torch.randn(inner, columns, generator=generator)
        exact = a.double() @ b.double()
        transposed = (a.t().contiguous().t(), b.t().contiguous().t())
        for left, right in ((a, b), (a, transposed[1]), (transposed[0], b)):
            errors.append((product(left, right) - exact).norm() / exact.norm())
        batched = product(a.expand(2, -1, -1), b.expand(2, -1, -1))
        errors.append((batched[1] - exact).norm() / exact.norm())
    return float(torch.stack(errors).max())


def mkl_keeps_to_avx2() -> bool:
    """Whether this is an AMD processor with AVX-512 and torch was built with MKL."""
    if sys.platform != "linux" or not torch.backends.mkl.is_available():  # type: ignore[no-untyped-call]
        return False
    try:
        described = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    first = described.partition("\n\n")[0]
    return "AuthenticAMD" in first and "avx512f" in first


def matmul_peaks(dtype: torch.dtype, device: str) -> dict[str, float]:
    """The FLOP/s of the fastest square product with this process's threads, by precision. The largest is the
    peak that MFU refers to.

    Both `dtype` and float32 are tried, because a CPU may support a precision in which it is slow. Each takes
    about half a second, unless a single product takes longer.
    """
    return {
        name: _fastest(kind, device) for name, kind in PRECISIONS.items() if kind in (dtype, torch.float32)
    }


def _fastest(dtype: torch.dtype, device: str) -> float:
    size = CPU_SIZE if device == "cpu" else DEVICE_SIZE
    left, right = (torch.full((size, size), 0.5, dtype=dtype, device=device) for _ in range(2))
    clock, until = Clock(device), time.perf_counter() + ENOUGH_SECONDS
    out = left @ right  # the first product includes the set-up
    fastest = float("inf")
    for _ in range(MOST_PRODUCTS):
        start = clock.now_ns()
        torch.mm(left, right, out=out)
        fastest = min(fastest, (clock.now_ns() - start) / 1e9)
        if time.perf_counter() > until:
            break
    return 2 * size**3 / fastest
