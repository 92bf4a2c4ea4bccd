"""Where a token stands: added to the embeddings, or turned into queries and keys.

Positions are a slice when every row counts alike, else an index (B, T): both pick rows of a table (S, ·).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor, nn

from models.config import LearnedPosition, ModelConfig, RotaryPosition, SinusoidalPosition

Positions = slice | Tensor
Rotation = tuple[Tensor, Tensor]  # cosines and signed sines, each (T, D) or (B, 1, T, D)


def positions_of(*, past: int, tokens: int, valid: Tensor | None) -> Positions:
    """Positions of the newest `tokens` after `past` cached ones; `valid` (B, past + tokens) marks real tokens.

    Padding is not counted, so a row in a padded batch has the positions that it has alone.
    """
    if valid is None:
        return slice(past, past + tokens)
    counted = valid.cumsum(dim=1) - 1  # -1 where only padding came before: any row of the table will do
    return counted[:, past:].clamp_(min=0)  # (B, T)


class PositionEncoding(nn.Module):
    """Does nothing by itself: each kind overrides the place where it acts."""

    def embed(self, x: Tensor, positions: Positions) -> Tensor:  # noqa: ARG002
        """Token embeddings (B, T, d_model), positions worked in."""
        return x

    def rotation(self, positions: Positions) -> Rotation | None:  # noqa: ARG002
        """What queries and keys of these positions are turned by; computed once, shared by the layers."""
        return None


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


class Sinusoidal(TabulatedPosition):
    """x * sqrt(d_model) + table (Vaswani et al. 2017, §3.4-3.5)."""

    table: Tensor  # (S, d_model)

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(("table",))
        self.positions, self.d_model = config.max_positions, config.d_model
        self.scale = math.sqrt(config.d_model)
        self._fill(dtype=torch.get_default_dtype(), device=torch.get_default_device())

    def compute(self) -> tuple[Tensor, ...]:
        angles = _angles(self.positions, self.d_model, base=10_000.0)  # (S, d_model / 2)
        return (torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1),)

    def embed(self, x: Tensor, positions: Positions) -> Tensor:
        return torch.add(self.table[positions], x, alpha=self.scale)


class Learned(PositionEncoding):
    """x + table[position], the table trained (Gehring et al. 2017, §3.1)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.table = nn.Embedding(config.max_positions, config.d_model)

    def embed(self, x: Tensor, positions: Positions) -> Tensor:
        return x + self.table.weight[positions]


class Rotary(TabulatedPosition):
    """Turns the pair (i, i + D/2) of queries and keys by position · base^(-2i/D) (Su et al. 2021, §3.4)."""

    cos: Tensor  # (S, D)
    sin: Tensor  # (S, D), the first half negated: then x·cos + roll(x, D/2)·sin is the rotation

    def __init__(self, config: ModelConfig, settings: RotaryPosition) -> None:
        super().__init__(("cos", "sin"))
        self.positions, self.width, self.base = config.max_positions, config.head_width, settings.base
        self._fill(dtype=torch.get_default_dtype(), device=torch.get_default_device())

    def compute(self) -> tuple[Tensor, ...]:
        angles = _angles(self.positions, self.width, base=self.base)  # (S, D / 2)
        return torch.cat((angles.cos(), angles.cos()), 1), torch.cat((-angles.sin(), angles.sin()), 1)

    def rotation(self, positions: Positions) -> Rotation:
        cos, sin = self.cos[positions], self.sin[positions]
        return (cos.unsqueeze(1), sin.unsqueeze(1)) if cos.dim() == 3 else (cos, sin)


def rotate(x: Tensor, rotation: Rotation) -> Tensor:
    """(B, H, T, D) -> (B, H, T, D)."""
    cos, sin = rotation
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, -1), sin)


def build_position(config: ModelConfig) -> PositionEncoding:
    match config.position:
        case SinusoidalPosition():
            return Sinusoidal(config)
        case LearnedPosition():
            return Learned(config)
        case RotaryPosition() as settings:
            return Rotary(config, settings)


def _angles(positions: int, width: int, *, base: float) -> Tensor:
    """position · base^(-2i/width) in float64: (positions, width / 2)."""
    exponents = torch.arange(0, width, 2, dtype=torch.float64, device="cpu") / width
    return torch.arange(positions, dtype=torch.float64, device="cpu")[:, None] * base**-exponents
