"""Dropout (Srivastava et al. 2014, §4), with masks that are cheap to draw on a CPU.

There torch draws one number per value, one after another, which takes longer than the product before the
dropout. Here 64 random bits serve four values, and a bitwise and drops values.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

# The number of values of the 15 random bits that decide; the sign bit is not used.
LEVELS = 2**15
# Integers as wide as the values, to which a mask is applied.
INTEGERS: Mapping[torch.dtype, torch.dtype] = MappingProxyType(
    {
        torch.bfloat16: torch.int16,
        torch.float16: torch.int16,
        torch.float32: torch.int32,
        torch.float64: torch.int64,
    }
)


def dropout(x: Tensor, p: float) -> Tensor:
    """Set each value of x, of any shape, to 0 with probability p, and otherwise multiply it by 1 / (1 - p).

    Draws from torch's generator of the device. On a CPU p is rounded to a multiple of 2⁻¹⁵, and the remaining
    values are scaled accordingly; the result is differentiable once. Raises ValueError if p is not between 0
    and 1.
    """
    dropped = round(p * LEVELS)
    if not 0 < dropped < LEVELS or x.device.type != "cpu" or torch.compiler.is_compiling():
        return F.dropout(x, p, training=True)
    result: Tensor = _Dropped.apply(x, dropped)  # type: ignore[no-untyped-call]
    return result


class Dropout(nn.Dropout):
    """`dropout` as a module, which does nothing in evaluation mode."""

    def forward(self, x: Tensor) -> Tensor:
        return dropout(x, self.p) if self.training and self.p else x


class _Dropped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, dropped: int) -> Tensor:
        mask = _mask(x, dropped)
        ctx.save_for_backward(mask)
        ctx.scale = LEVELS / (LEVELS - dropped)
        return _masked(x, mask, ctx.scale)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (mask,) = ctx.saved_tensors
        return _masked(grad, mask, ctx.scale), None


def _mask(x: Tensor, dropped: int) -> Tensor:
    """int16 of the shape of x, with all bits set for values that stay and no bits for values that are
    dropped.
    """
    words = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    level = words.view(torch.int16)[: x.numel()].view(x.shape).bitwise_and_(LEVELS - 1)
    return level.sub_(dropped).bitwise_right_shift_(15).bitwise_not_()


def _masked(x: Tensor, mask: Tensor, scale: float) -> Tensor:
    scaled = x * scale
    integers = INTEGERS[x.dtype]
    scaled.view(integers).bitwise_and_(mask.to(integers))
    return scaled
