"""Tokens to vectors at the bottom of the model, and hidden states to logits at its top.

Every embedding says how wide its vectors are, how many `parameters` a vocabulary takes, and how many
multiplications, its `products`, a token costs.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from harness.models.config.base import Count, Frozen, PositiveFloat, Sizes


class LearnedEmbedding(Frozen):
    """One trained vector of d_model values per token."""

    kind: Literal["learned"] = "learned"

    def vector_width(self, sizes: Sizes) -> int:
        return sizes.d_model

    def parameters(self, sizes: Sizes, vocab_size: int) -> int:
        return vocab_size * sizes.d_model

    def products(self, sizes: Sizes) -> int:  # noqa: ARG002
        return 0


class PretrainedEmbedding(Frozen):
    """Word vectors of their own width and a trained projection to d_model (source 001 §1.1).

    The vectors are given when the model is built.
    """

    kind: Literal["pretrained"] = "pretrained"
    width: Count
    """The width of the given vectors."""

    frozen: bool = False
    """Whether the vectors stay as they are given."""

    def vector_width(self, sizes: Sizes) -> int:  # noqa: ARG002
        return self.width

    def parameters(self, sizes: Sizes, vocab_size: int) -> int:
        return vocab_size * self.width + self.products(sizes) + sizes.d_model

    def products(self, sizes: Sizes) -> int:
        return self.width * sizes.d_model


Embedding = Annotated[LearnedEmbedding | PretrainedEmbedding, Field(discriminator="kind")]

# The factor by which vectors are multiplied, before any projection. `by-position` means sqrt-width with
# sinusoidal positions, and one with all others.
EmbeddingScale = Literal["by-position", "one", "sqrt-width"]


class OutputConfig(Frozen):
    """Hidden states to logits: scaled by 1 / sqrt(d_model) (T5, source 003), with one bias per token (Marian)
    or a soft cap (Gemma 2).
    """

    scale: Literal["one", "inverse-sqrt-width"] = "one"
    """The factor on the hidden states before the logits."""

    bias: bool = False
    """Whether every token has a bias."""

    soft_cap: PositiveFloat | None = None
    """Squeezes the logits between minus and plus this number (Gemma 2)."""
