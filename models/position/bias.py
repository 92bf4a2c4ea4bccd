"""Positions that are added to attention's logits: ALiBi and T5's relative bias.

B batch, H heads, T queries, S keys.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from harness.models.config import Architecture, RelativePosition
from harness.models.position.base import PositionEncoding, Positions, TabulatedPosition


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
