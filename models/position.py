"""How a model knows the order of its tokens: positions are added to token embeddings (sinusoidal, learned),
rotate queries and keys (rotary), or are added to attention's logits (ALiBi, T5's relative bias).

B batch, H heads, T tokens, S positions of a table or keys, C = d_model, D width of a head, W rotated values
of a head. Positions are a slice if all rows have the same, otherwise an index (B, T). Both select rows of a
table (S, ·).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from harness.models.config import (
    AlibiPosition,
    Architecture,
    LearnedPosition,
    NoPosition,
    RelativePosition,
    RotaryPosition,
    SinusoidalPosition,
)

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


class Sinusoidal(TabulatedPosition):
    """Adds table[position] (Vaswani et al. 2017, §3.5)."""

    table: Tensor  # (S, C)

    def __init__(self, config: Architecture, settings: SinusoidalPosition) -> None:
        super().__init__(("table",))
        self.positions, self.d_model, self.layout = config.max_positions, config.d_model, settings.layout
        self._fill()

    def compute(self) -> tuple[Tensor, ...]:
        angles = angles_of(self.positions, self.d_model, base=10_000.0)  # (S, C / 2)
        if self.layout == "halves":
            return (torch.cat((angles.sin(), angles.cos()), dim=-1),)
        return (torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1),)

    def vectors(self, positions: Positions) -> Tensor:
        return self.table[positions]


class Learned(PositionEncoding):
    """Adds table[offset + position], which is trained (Gehring et al. 2017, §3.1)."""

    def __init__(self, config: Architecture, settings: LearnedPosition) -> None:
        super().__init__()
        self.offset = settings.offset
        self.table = nn.Embedding(settings.offset + config.max_positions, config.d_model)

    def vectors(self, positions: Positions) -> Tensor:
        table = self.table.weight
        if isinstance(positions, slice):
            return table.narrow(0, positions.start + self.offset, positions.stop - positions.start)
        return table[positions + self.offset]


class Rotary(TabulatedPosition):
    """Rotates pair i of queries and keys by position · base^(-2i/W) (Su et al. 2021, §3.4)."""

    cos: Tensor  # (S, W)
    sin: Tensor  # (S, W), negated for the first of each pair: x·cos + partner·sin is the rotation

    def __init__(self, config: Architecture, settings: RotaryPosition) -> None:
        super().__init__(("cos", "sin"))
        self.positions, self.width = config.max_positions, settings.width(config.head_width)
        self.partial = self.width < config.head_width
        self.base, self.interleaved = settings.base, settings.layout == "interleaved"
        self._fill()

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
        return Rotation(cos=cos, sin=sin, interleaved=self.interleaved, partial=self.partial)


class Alibi(TabulatedPosition):
    """-slope · distance, each head with its own slope (Press et al. 2022, §3)."""

    adds_bias = True
    slopes: Tensor  # (H,)

    def __init__(self, config: Architecture) -> None:
        super().__init__(("slopes",))
        self.n_heads = config.n_heads
        self._fill()

    def compute(self) -> tuple[Tensor, ...]:
        return (torch.tensor(alibi_slopes(self.n_heads), dtype=torch.float64, device="cpu"),)

    def bias(self, queries: Positions, keys: Positions) -> Tensor:
        distance = offsets(queries, keys, device=self.slopes.device).abs()  # (1 or B, T, S)
        return -self.slopes[:, None, None] * distance[:, None]


class Relative(PositionEncoding):
    """A trained bias per bucket of key position - query position (Raffel et al. 2020, §2.1)."""

    adds_bias = True
    buckets: Tensor  # (2 · max_distance + 1,): the buckets of the offsets from -max_distance on

    def __init__(self, config: Architecture, settings: RelativePosition, *, causal: bool) -> None:
        super().__init__()
        self.max_distance = settings.max_distance
        self.table = nn.Embedding(settings.buckets, config.n_heads)
        buckets = [
            bucket(offset, settings, causal=causal)
            for offset in range(-self.max_distance, self.max_distance + 1)
        ]
        self.register_buffer("buckets", torch.tensor(buckets), persistent=False)

    def bias(self, queries: Positions, keys: Positions) -> Tensor:
        offset = offsets(queries, keys, device=self.buckets.device)  # (1 or B, T, S)
        # All distances beyond max_distance share one bucket.
        chosen = self.buckets[offset.clamp(-self.max_distance, self.max_distance) + self.max_distance]
        values: Tensor = self.table(chosen)  # (1 or B, T, S, H)
        return values.permute(0, 3, 1, 2)


def alibi_slopes(n_heads: int) -> list[float]:
    """2^(-8/n), 2^(-16/n), … for n heads.

    If n is not a power of two, the remaining heads take every other slope of twice the next lower power.
    """
    power = 2 ** int(math.log2(n_heads))
    slopes = [2.0 ** (-8.0 * head / power) for head in range(1, power + 1)]
    between = [2.0 ** (-4.0 * head / power) for head in range(1, 2 * power, 2)]
    return slopes + between[: n_heads - power]


def bucket(offset: int, settings: RelativePosition, *, causal: bool) -> int:
    """The bucket of one offset (key - query). An encoder uses half of the buckets for later keys."""
    buckets, first = settings.buckets, 0
    if causal:
        distance = max(-offset, 0)
    else:
        buckets //= 2
        first, distance = (buckets if offset > 0 else 0), abs(offset)
    exact = buckets // 2
    if distance < exact:
        return first + distance
    growth = math.log(distance / exact) / math.log(settings.max_distance / exact)
    return first + min(exact + int(growth * (buckets - exact)), buckets - 1)


def offsets(queries: Positions, keys: Positions, *, device: torch.device) -> Tensor:
    """Key position - query position, (1 or B, T, S)."""
    return _index(keys, device)[:, None, :] - _index(queries, device)[:, :, None]


def _index(positions: Positions, device: torch.device) -> Tensor:
    """(1 or B, T)."""
    if isinstance(positions, slice):
        return torch.arange(positions.start, positions.stop, device=device)[None]
    return positions


def build_position(config: Architecture, *, causal: bool) -> PositionEncoding:
    """`causal` is False in an encoder, whose tokens attend to earlier and later tokens."""
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
