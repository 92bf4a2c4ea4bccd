"""Tokens to vectors at the bottom of the model, vectors to logits at its top."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from models.config.base import Count, Frozen, PositiveFloat


class LearnedEmbedding(Frozen):
    """One trained vector of d_model values a token."""

    kind: Literal["learned"] = "learned"


class PretrainedEmbedding(Frozen):
    """Word vectors of their own width, given when the model is built, and a trained projection to d_model (source 001 §1.1)."""

    kind: Literal["pretrained"] = "pretrained"
    width: Count
    frozen: bool = False


Embedding = Annotated[LearnedEmbedding | PretrainedEmbedding, Field(discriminator="kind")]

# What vectors are multiplied by, before any projection. By position: sqrt-width with sinusoidal positions, else one.
EmbeddingScale = Literal["by-position", "one", "sqrt-width"]


class OutputConfig(Frozen):
    """Hidden states to logits: scaled by 1 / sqrt(d_model) (T5, source 003), a bias a token (Marian), a soft cap (Gemma 2)."""

    scale: Literal["one", "inverse-sqrt-width"] = "one"
    bias: bool = False
    soft_cap: PositiveFloat | None = None
