"""Where a token stands: added to the embeddings, or turned into queries and keys; biases are in
`position_bias`.

Positions are a slice when every row counts alike, else an index (B, T): both pick rows of a table (S, ·).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from harness.models.config import Architecture
from harness.models.config.position import (
    AlibiPosition,
    LearnedPosition,
    NoPosition,
    RelativePosition,
    RotaryPosition,
    SinusoidalPosition,
)
from harness.models.position.base import PositionEncoding, Positions, Rotation, TabulatedPosition
from harness.models.position.bias import Alibi, Relative

__all__ = ["Learned", "Positions", "Rotary", "Sinusoidal", "build_position", "positions_of"]


def positions_of(*, past: int, tokens: int, valid: Tensor | None) -> Positions:
    """Positions of the newest `tokens` after `past` cached ones; `valid` (B, past + tokens) marks real
    tokens.

    Padding is not counted, so a row in a padded batch has the positions that it has alone.
    """
    if valid is None:
        return slice(past, past + tokens)
    counted = valid.cumsum(dim=1) - 1  # -1 where only padding came before: any row of the table will do
    return counted[:, past:].clamp_(min=0)  # (B, T)


class Sinusoidal(TabulatedPosition):
    """x + table (Vaswani et al. 2017, §3.5)."""

    table: Tensor  # (S, d_model)

    def __init__(self, config: Architecture, settings: SinusoidalPosition) -> None:
        super().__init__(("table",))
        self.positions, self.d_model, self.layout = config.max_positions, config.d_model, settings.layout
        self._fill(dtype=torch.get_default_dtype(), device=torch.get_default_device())

    def compute(self) -> tuple[Tensor, ...]:
        angles = angles_of(self.positions, self.d_model, base=10_000.0)  # (S, d_model / 2)
        if self.layout == "halves":
            return (torch.cat((angles.sin(), angles.cos()), dim=-1),)
        return (torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1),)

    def embed(self, x: Tensor, positions: Positions, *, scale: float) -> Tensor:
        return torch.add(self.table[positions], x, alpha=scale)


class Learned(PositionEncoding):
    """x + table[offset + position], the table trained (Gehring et al. 2017, §3.1)."""

    def __init__(self, config: Architecture, settings: LearnedPosition) -> None:
        super().__init__()
        self.offset = settings.offset
        self.table = nn.Embedding(settings.offset + config.max_positions, config.d_model)

    def embed(self, x: Tensor, positions: Positions, *, scale: float) -> Tensor:
        table = self.table.weight
        if isinstance(positions, slice):
            rows = table.narrow(0, positions.start + self.offset, positions.stop - positions.start)
        else:
            rows = table[positions + self.offset]
        return torch.add(rows, x, alpha=scale)


class Rotary(TabulatedPosition):
    """Turns pair i of queries and keys by position · base^(-2i/W) (Su et al. 2021, §3.4)."""

    cos: Tensor  # (S, W)
    sin: Tensor  # (S, W), the first of each pair negated: then x·cos + partner·sin is the rotation

    def __init__(self, config: Architecture, settings: RotaryPosition) -> None:
        super().__init__(("cos", "sin"))
        self.positions, self.width = config.max_positions, settings.width(config.head_width)
        self.whole = self.width == config.head_width
        self.base, self.interleaved = settings.base, settings.layout == "interleaved"
        self._fill(dtype=torch.get_default_dtype(), device=torch.get_default_device())

    def compute(self) -> tuple[Tensor, ...]:
        angles = angles_of(self.positions, self.width, base=self.base)  # (S, W / 2)
        cos, sin = (angles.cos(), angles.cos()), (-angles.sin(), angles.sin())
        if self.interleaved:
            return torch.stack(cos, dim=-1).flatten(1), torch.stack(sin, dim=-1).flatten(1)
        return torch.cat(cos, dim=1), torch.cat(sin, dim=1)

    def rotation(self, positions: Positions) -> Rotation:
        cos, sin = self.cos[positions], self.sin[positions]
        if cos.dim() == 3:
            cos, sin = cos.unsqueeze(1), sin.unsqueeze(1)
        return Rotation(cos=cos, sin=sin, interleaved=self.interleaved, whole=self.whole)


def build_position(config: Architecture, *, causal: bool) -> PositionEncoding:
    """`causal` is False in an encoder, whose tokens look both ways."""
    match config.position:
        case NoPosition():
            return PositionEncoding()
        case SinusoidalPosition() as settings:
            return Sinusoidal(config, settings)
        case LearnedPosition() as settings:
            return Learned(config, settings)
        case RotaryPosition() as settings:
            return Rotary(config, settings)
        case AlibiPosition():
            return Alibi(config)
        case RelativePosition() as settings:
            return Relative(config, settings, causal=causal)


def angles_of(positions: int, width: int, *, base: float) -> Tensor:
    """position · base^(-2i/width) in float64: (positions, width / 2)."""
    exponents = torch.arange(0, width, 2, dtype=torch.float64, device="cpu") / width
    return torch.arange(positions, dtype=torch.float64, device="cpu")[:, None] * base**-exponents
