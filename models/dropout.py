"""Dropout (Srivastava et al. 2014, §4), with masks that are cheap to draw on a CPU.

torch draws one number a value there, one after another, which takes longer than the product that dropout
follows. Here 64 random bits serve four values, and values are dropped by a bitwise and.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

# Of the 16 random bits of a value, those that decide: its sign would be in the way.
LEVELS = 2**15
# Integers as wide as the values, to which the bits of a mask are applied.
INTEGERS: Mapping[torch.dtype, torch.dtype] = MappingProxyType(
    {
        torch.bfloat16: torch.int16,
        torch.float16: torch.int16,
        torch.float32: torch.int32,
        torch.float64: torch.int64,
    }
)


def dropout(x: Tensor, p: float) -> Tensor:
    """Each value of x 0 with probability p, else 1 / (1 - p) times as large; any shape.

    Drawn from torch's generator of the device. On a CPU p is rounded to a multiple of 2⁻¹⁵, and the values
    that stay are scaled accordingly; the result is differentiable once. Raises ValueError unless p is between
    0 and 1.
    """
    dropped = round(p * LEVELS)
    if not 0 < dropped < LEVELS or x.device.type != "cpu" or torch.compiler.is_compiling():
        return F.dropout(x, p, training=True)
    result: Tensor = _Dropped.apply(x, dropped)  # type: ignore[no-untyped-call]
    return result


class Dropout(nn.Dropout):
    """The same as a module, which does nothing in evaluation."""

    def forward(self, x: Tensor) -> Tensor:
        return dropout(x, self.p) if self.training and self.p else x


class _Dropped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, dropped: int) -> Tensor:
        kept = _mask(x, dropped)
        ctx.save_for_backward(kept)
        ctx.scale = LEVELS / (LEVELS - dropped)
        return _masked(x, kept, ctx.scale)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (kept,) = ctx.saved_tensors
        return _masked(grad, kept, ctx.scale), None


def _mask(x: Tensor, dropped: int) -> Tensor:
    """int16 of the shape of x: every bit set where a value is kept, none where it is dropped."""
    words = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    level = words.view(torch.int16)[: x.numel()].view(x.shape).bitwise_and_(LEVELS - 1)
    return level.sub_(dropped).bitwise_right_shift_(15).bitwise_not_()


def _masked(x: Tensor, kept: Tensor, scale: float) -> Tensor:
    scaled = x * scale
    integers = INTEGERS[x.dtype]
    scaled.view(integers).bitwise_and_(kept.to(integers))
    return scaled
