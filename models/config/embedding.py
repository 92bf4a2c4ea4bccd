"""Tokens to vectors at the bottom of the model, vectors to logits at its top.

Each embedding says how wide its vectors are, how many `parameters` a vocabulary takes, and how many
multiplications, its `products`, a token costs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from harness.models.config.base import Count, Frozen, PositiveFloat

if TYPE_CHECKING:
    from harness.models.config.model import Architecture


class LearnedEmbedding(Frozen):
    """One trained vector of d_model values a token."""

    kind: Literal["learned"] = "learned"

    def vector_width(self, model: Architecture) -> int:
        return model.d_model

    def parameters(self, model: Architecture, vocab_size: int) -> int:
        return vocab_size * model.d_model

    def products(self, model: Architecture) -> int:  # noqa: ARG002
        return 0


class PretrainedEmbedding(Frozen):
    """Word vectors of their own width, given when the model is built, and a trained projection to d_model
    (source 001 §1.1).
    """

    kind: Literal["pretrained"] = "pretrained"
    width: Count
    frozen: bool = False

    def vector_width(self, model: Architecture) -> int:  # noqa: ARG002
        return self.width

    def parameters(self, model: Architecture, vocab_size: int) -> int:
        return vocab_size * self.width + self.products(model) + model.d_model

    def products(self, model: Architecture) -> int:
        return self.width * model.d_model


Embedding = Annotated[LearnedEmbedding | PretrainedEmbedding, Field(discriminator="kind")]

# What vectors are multiplied by, before any projection. By position: sqrt-width with sinusoidal positions,
# else one.
EmbeddingScale = Literal["by-position", "one", "sqrt-width"]


class OutputConfig(Frozen):
    """Hidden states to logits: scaled by 1 / sqrt(d_model) (T5, source 003), a bias a token (Marian), a soft
    cap (Gemma 2).
    """

    scale: Literal["one", "inverse-sqrt-width"] = "one"
    bias: bool = False
    soft_cap: PositiveFloat | None = None
