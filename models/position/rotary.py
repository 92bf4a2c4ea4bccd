"""Positions by which queries and keys are rotated.

B batch, H heads, T tokens, S positions of a table, D width of a head, W rotated values of a head.
"""

from __future__ import annotations

import torch
from torch import Tensor

from harness.models.config import Architecture, RotaryPosition
from harness.models.position.base import Positions, Rotation, TabulatedPosition, angles_of


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
