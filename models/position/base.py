"""What every position encoding offers: three places where it may act, each of which does nothing by itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

Positions = slice | Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class Rotation:
    """Cosines and signed sines, each (T, W) or (B, 1, T, W): the first W values of a head are turned."""

    cos: Tensor
    sin: Tensor
    interleaved: bool
    whole: bool  # W is the width of a head

    def turn(self, x: Tensor) -> Tensor:
        """(B, H, T, D) -> (B, H, T, D)."""
        if not self.whole:
            width = self.cos.shape[-1]
            return torch.cat((self._turn(x[..., :width]), x[..., width:]), dim=-1)
        return self._turn(x)

    def _turn(self, x: Tensor) -> Tensor:
        if self.interleaved:
            partner = x.reshape(*x.shape[:-1], -1, 2).flip(-1).flatten(-2)  # 2i and 2i + 1 change places
        else:
            partner = x.roll(x.shape[-1] // 2, -1)
        return torch.addcmul(x * self.cos, partner, self.sin)


class PositionEncoding(nn.Module):
    """Each kind overrides the place where it acts."""

    # Whether `bias` has something to add.
    adds_bias = False

    def embed(self, x: Tensor, positions: Positions, *, scale: float) -> Tensor:  # noqa: ARG002
        """Scaled token embeddings (B, T, d_model), positions worked in."""
        return x if scale == 1.0 else x * scale

    def rotation(self, positions: Positions) -> Rotation | None:  # noqa: ARG002
        """What queries and keys of these positions are turned by; computed once, shared by the layers."""
        return None

    def bias(self, queries: Positions, keys: Positions) -> Tensor:
        """What is added to attention's logits, (1 or B, H, T, S); computed once, shared by the layers."""
        raise NotImplementedError


class TabulatedPosition(PositionEncoding, ABC):
    """Fixed tables as non-persistent buffers, computed in float64 and rounded once to the model's precision."""

    def __init__(self, tables: tuple[str, ...]) -> None:
        super().__init__()
        self._tables = tables
        for name in tables:
            self.register_buffer(name, torch.empty(0), persistent=False)

    @abstractmethod
    def compute(self) -> tuple[Tensor, ...]:
        """The tables in float64 on the CPU, in the order of their names."""

    def _fill(self, *, dtype: torch.dtype, device: torch.device) -> None:
        for name, table in zip(self._tables, self.compute(), strict=True):
            self.register_buffer(name, table.to(device=device, dtype=dtype), persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:  # noqa: FBT001, FBT002
        # A conversion such as `.double()` would otherwise carry the old precision's rounding along.
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        first = self.get_buffer(self._tables[0])
        self._fill(dtype=first.dtype, device=first.device)
        return self
