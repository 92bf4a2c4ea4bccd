"""The layer between attentions. A mixture of experts is to be one more member of the union."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from models.config.base import Frozen

# leaky-relu has slope 0.01 below zero; gelu is exact, gelu-tanh its approximation (Hendrycks & Gimpel 2016, §2);
# squared-relu is relu(x)² (So et al. 2021, §4).
Activation = Literal["relu", "leaky-relu", "gelu", "gelu-tanh", "silu", "squared-relu"]


class PlainFeedForward(Frozen):
    """down(activation(up(x))) (Vaswani et al. 2017, §3.3)."""

    kind: Literal["plain"] = "plain"
    bias: bool = True


class GatedFeedForward(Frozen):
    """down(activation(gate(x)) · up(x)) (Shazeer 2020, §2); with silu it is SwiGLU, with gelu GEGLU."""

    kind: Literal["gated"] = "gated"
    bias: bool = False


FeedForwardConfig = Annotated[PlainFeedForward | GatedFeedForward, Field(discriminator="kind")]
