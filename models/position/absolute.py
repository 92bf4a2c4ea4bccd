"""Positions that are added to token embeddings: sinusoidal and learned.

B batch, T tokens, S positions of a table, C = d_model.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from harness.models.config import Architecture, LearnedPosition, SinusoidalPosition
from harness.models.position.base import PositionEncoding, Positions, TabulatedPosition, angles_of


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
