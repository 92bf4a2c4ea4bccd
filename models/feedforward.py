"""The position-wise feed-forward layer, plain (Vaswani et al. 2017, §3.3) or gated (Shazeer 2020, §2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from harness.models.config import Activation, Architecture, GatedFeedForward, PlainFeedForward


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


class FeedForward(nn.Module):
    """down(activation(up(x)))."""

    def __init__(self, config: Architecture) -> None:
        super().__init__()
        bias = config.feedforward.bias
        self.activation_name = config.activation
        self.activation: Callable[[Tensor], Tensor] = ACTIVATIONS[config.activation]
        self.up = nn.Linear(config.d_model, config.d_ff, bias=bias)
        self.down = nn.Linear(config.d_ff, config.d_model, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, d_model) -> (B, T, d_model)."""
        out: Tensor = self.down(self.activation(self.up(x)))
        return out


class GatedLayer(FeedForward):
    """down(activation(gate(x)) · up(x))."""

    def __init__(self, config: Architecture) -> None:
        super().__init__(config)
        self.gate = nn.Linear(config.d_model, config.d_ff, bias=config.feedforward.bias)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down(self.activation(self.gate(x)) * self.up(x))
        return out


def build_feedforward(config: Architecture) -> FeedForward:
    match config.feedforward:
        case PlainFeedForward():
            return FeedForward(config)
        case GatedFeedForward():
            return GatedLayer(config)
