"""What every position encoding offers: three ways to act, each of which does nothing unless it is overridden.

B batch, H heads, T tokens, S positions of a table, C = d_model, D width of a head, W rotated values of a
head. Positions are a slice if all rows have the same, otherwise an index (B, T). Both select rows of a table
(S, ·).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

Positions = slice | Tensor


def positions_of(*, past: int, tokens: int, valid: Tensor | None) -> Positions:
    """Positions of the newest `tokens` after `past` cached ones; `valid` (B, past + tokens) marks real
    tokens.

    Padding is not counted, so a row in a padded batch has the positions that it has alone.
    """
    if valid is None:
        return slice(past, past + tokens)
    counted = valid.cumsum(dim=1) - 1  # -1 if only padding came before: any row of the table will do
    return counted[:, past:].clamp_(min=0)  # (B, T)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rotation:
    """Cosines and signed sines, each (T, W) or (B, 1, T, W): the first W values of a head are rotated."""

    cos: Tensor
    sin: Tensor
    interleaved: bool
    partial: bool  # whether W is less than the width of a head

    def rotate(self, x: Tensor) -> Tensor:
        """(B, H, T, D) -> (B, H, T, D)."""
        if self.partial:
            width = self.cos.shape[-1]
            return torch.cat((self._rotate(x[..., :width]), x[..., width:]), dim=-1)
        return self._rotate(x)

    def _rotate(self, x: Tensor) -> Tensor:
        if self.interleaved:
            partner = x.reshape(*x.shape[:-1], -1, 2).flip(-1).flatten(-2)  # swaps 2i and 2i + 1
        else:
            partner = x.roll(x.shape[-1] // 2, -1)
        return torch.addcmul(x * self.cos, partner, self.sin)


class PositionEncoding(nn.Module):
    """Every kind overrides the method by which it acts. This class itself encodes no position."""

    # Whether `bias` adds anything.
    adds_bias = False

    def vectors(self, positions: Positions) -> Tensor | None:  # noqa: ARG002
        """The vectors (T or B, T, C) that are added to scaled token embeddings."""
        return None

    def rotation(self, positions: Positions) -> Rotation | None:  # noqa: ARG002
        """The rotation of queries and keys at these positions, computed once and shared by the layers."""
        return None

    def bias(self, queries: Positions, keys: Positions) -> Tensor:
        """The bias (1 or B, H, T, S) of attention's logits, computed once and shared by the layers."""
        raise NotImplementedError


class TabulatedPosition(PositionEncoding, ABC):
    """Fixed tables as non-persistent buffers, computed in float64 and rounded to the model's precision."""

    def __init__(self, tables: tuple[str, ...]) -> None:
        super().__init__()
        self._tables = tables
        for name in tables:
            self.register_buffer(name, torch.empty(0), persistent=False)

    @abstractmethod
    def compute(self) -> tuple[Tensor, ...]:
        """The tables in float64 on the CPU, in the order of their names."""

    def _fill(self, *, dtype: torch.dtype | None = None, device: torch.device | None = None) -> None:
        """Compute the tables in a precision and on a device, by default those of torch."""
        dtype, device = dtype or torch.get_default_dtype(), device or torch.get_default_device()
        for name, table in zip(self._tables, self.compute(), strict=True):
            self.register_buffer(name, table.to(device=device, dtype=dtype), persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:  # noqa: FBT001, FBT002
        # Otherwise a conversion such as `.double()` would keep the rounding of the old precision.
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        first = self.get_buffer(self._tables[0])
        self._fill(dtype=first.dtype, device=first.device)
        return self


def angles_of(positions: int, width: int, *, base: float) -> Tensor:
    """position · base^(-2i/width) in float64: (positions, width / 2)."""
    exponents = torch.arange(0, width, 2, dtype=torch.float64, device="cpu") / width
    return torch.arange(positions, dtype=torch.float64, device="cpu")[:, None] * base**-exponents
