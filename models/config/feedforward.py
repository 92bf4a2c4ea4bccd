"""The layer between attentions. A mixture of experts is to be one more member of the union.

Each member says how many `parameters` a layer has, and how many multiplications, its `products`, a token
costs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from harness.models.config.base import Frozen

if TYPE_CHECKING:
    from harness.models.config.model import Architecture

# leaky-relu has slope 0.01 below zero; gelu is exact, gelu-tanh its approximation (Hendrycks & Gimpel 2016,
# §2); squared-relu is relu(x)² (So et al. 2021, §4).
Activation = Literal["relu", "leaky-relu", "gelu", "gelu-tanh", "silu", "squared-relu"]


class PlainFeedForward(Frozen):
    """down(activation(up(x))) (Vaswani et al. 2017, §3.3)."""

    kind: Literal["plain"] = "plain"
    bias: bool = True

    def parameters(self, model: Architecture) -> int:
        return self.products(model) + (model.d_ff + model.d_model if self.bias else 0)

    def products(self, model: Architecture) -> int:
        return 2 * model.d_model * model.d_ff


class GatedFeedForward(Frozen):
    """down(activation(gate(x)) · up(x)) (Shazeer 2020, §2); with silu it is SwiGLU, with gelu GEGLU."""

    kind: Literal["gated"] = "gated"
    bias: bool = False

    def parameters(self, model: Architecture) -> int:
        return self.products(model) + (2 * model.d_ff + model.d_model if self.bias else 0)

    def products(self, model: Architecture) -> int:
        return 3 * model.d_model * model.d_ff


FeedForwardConfig = Annotated[PlainFeedForward | GatedFeedForward, Field(discriminator="kind")]
