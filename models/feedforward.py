"""The position-wise feed-forward layer, plain (Vaswani et al. 2017, §3.3) or gated (Shazeer 2020, §2).

B batch, T tokens, C = d_model, F = d_ff.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from harness.models.config import Activation, Architecture, GatedFeedForward, PlainFeedForward
from harness.models.layer import ResidualLayer


def squared_relu(x: Tensor) -> Tensor:
    return F.relu(x).square()


ACTIVATIONS: Mapping[Activation, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "leaky-relu": F.leaky_relu,
    "gelu": F.gelu,
    "gelu-tanh": partial(F.gelu, approximate="tanh"),
    "silu": F.silu,
    "squared-relu": squared_relu,
}


class FeedForward(ResidualLayer):
    """down(activation(up(x)))."""

    activated: ClassVar[str | None] = "up"

    def __init__(self, config: Architecture, *, bias: bool) -> None:
        super().__init__()
        self.activation_name = config.activation
        self.activation: Callable[[Tensor], Tensor] = ACTIVATIONS[config.activation]
        self.up = nn.Linear(config.d_model, config.d_ff, bias=bias)
        self.down = nn.Linear(config.d_ff, config.d_model, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        out: Tensor = self.down(self.activation(self.up(x)))  # (B, T, F), then (B, T, C)
        return out

    def residual_outputs(self) -> Iterable[Tensor]:
        return (self.down.weight,)


class GatedLayer(FeedForward):
    """down(activation(gate(x)) · up(x))."""

    activated: ClassVar[str | None] = "gate"

    def __init__(self, config: Architecture, *, bias: bool) -> None:
        super().__init__(config, bias=bias)
        self.gate = nn.Linear(config.d_model, config.d_ff, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        out: Tensor = self.down(self.activation(self.gate(x)) * self.up(x))  # (B, T, F), then (B, T, C)
        return out


def build_feedforward(config: Architecture) -> ResidualLayer:
    match config.feedforward:
        case PlainFeedForward(bias=bias):
            return FeedForward(config, bias=bias)
        case GatedFeedForward(bias=bias):
            return GatedLayer(config, bias=bias)
