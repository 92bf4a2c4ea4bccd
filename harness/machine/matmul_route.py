"""Which library computes float32 matrix products on a CPU: a setting of the machine, the same for every arm.

torch hands them to MKL, which keeps to AVX2 on AMD's processors: about 40 % of what AVX-512 can do. oneDNN
has no such scruple, and torch hands it float32 products where `torch.backends.mkldnn.matmul.fp32_precision`
allows it bfloat16. Whether it then really lowers the precision depends on the processor (with AMX it does),
so that is measured first.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from torch import Tensor

# Relative errors of products in float32 are about 3e-7, in TensorFloat-32 3e-4, in bfloat16 3e-3.
LARGEST_ERROR = 1e-6

# Rows, inner width, columns: a decoding step, a training step, an output projection, a head's attention, odd
# sizes.
SHAPES = ((1, 256, 1024), (16, 256, 1024), (512, 256, 768), (64, 256, 2048), (128, 64, 128), (33, 301, 255))


@dataclass(frozen=True, kw_only=True, slots=True)
class MatmulRoute:
    """Who computes float32 products, and the largest relative error (Frobenius, against float64) that either
    had.

    `error` is oneDNN's; None where it was not asked.
    """

    library: Literal["torch's choice", "oneDNN"]
    error: float | None
    plain_error: float | None

    def plain(self) -> dict[str, Any]:
        return asdict(self)


def choose_matmul_route() -> MatmulRoute:
    """Send float32 products to oneDNN where MKL is slow, if they stay float32 there; say what was chosen.

    The choice depends on the processor and on torch alone, never on a timing: one machine always chooses
    alike.
    """
    import torch

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
    """Where torch keeps oneDNN's precision of matrix products; torch's type hints leave it out."""
    import torch

    module: Any = torch.backends.mkldnn
    return module.matmul


def largest_error(product: Callable[[Tensor, Tensor], Tensor]) -> float:
    """The largest relative error of `product` over `SHAPES` in float32, either factor transposed and not, and
    in batches.
    """
    import torch

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
    """Whether this is an AMD processor with AVX-512, and torch was built with MKL."""
    import torch

    if sys.platform != "linux" or not torch.backends.mkl.is_available():  # type: ignore[no-untyped-call]
        return False
    try:
        described = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    first = described.partition("\n\n")[0]
    return "AuthenticAMD" in first and "avx512f" in first
