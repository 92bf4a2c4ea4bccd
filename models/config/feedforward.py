"""The layer between attentions. A mixture of experts would be one more member of the union.

Every kind says how many `parameters` a layer has, and how many multiplications, its `products`, a token
costs.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Literal

from pydantic import Field

from harness.models.config.base import LayerPart, Sizes

# leaky-relu has slope 0.01 below zero; gelu is exact, gelu-tanh its approximation (Hendrycks & Gimpel 2016,
# §2); squared-relu is relu(x)² (So et al. 2021, §4).
Activation = Literal["relu", "leaky-relu", "gelu", "gelu-tanh", "silu", "squared-relu"]


class FeedForwardPart(LayerPart):
    """What the rest of the model asks of every kind of feed-forward layer."""

    @abstractmethod
    def products(self, sizes: Sizes) -> int:
        """Multiplications of one layer for a token."""


class PlainFeedForward(FeedForwardPart):
    """down(activation(up(x))) (Vaswani et al. 2017, §3.3)."""

    kind: Literal["plain"] = "plain"
    bias: bool = True
    """Whether the products of the layer have a bias."""

    def parameters(self, sizes: Sizes) -> int:
        return self.products(sizes) + (sizes.d_ff + sizes.d_model if self.bias else 0)

    def products(self, sizes: Sizes) -> int:
        return 2 * sizes.d_model * sizes.d_ff


class GatedFeedForward(FeedForwardPart):
    """down(activation(gate(x)) · up(x)) (Shazeer 2020, §2); with silu it is SwiGLU, with gelu GEGLU."""

    kind: Literal["gated"] = "gated"
    bias: bool = False
    """Whether the products of the layer have a bias."""

    def parameters(self, sizes: Sizes) -> int:
        return self.products(sizes) + (2 * sizes.d_ff + sizes.d_model if self.bias else 0)

    def products(self, sizes: Sizes) -> int:
        return 3 * sizes.d_model * sizes.d_ff


FeedForwardConfig = Annotated[PlainFeedForward | GatedFeedForward, Field(discriminator="kind")]
