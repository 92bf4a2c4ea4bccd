"""Tokens to vectors, and hidden states to logits.

B batch, T tokens, C = d_model, V = vocab_size, W width of a token's vector.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.models.config import Architecture, OutputConfig, PretrainedEmbedding
from harness.models.self_initialised import AtRest


class TokenEmbedding(nn.Embedding):
    """Vectors of d_model values, or of a width of their own with a projection (source 001 §1.1).

    `scale` is the factor by which the stack still multiplies the vectors, when it adds positions. Projected
    vectors are scaled before the projection.
    """

    def __init__(self, config: Architecture, vocab_size: int) -> None:
        super().__init__(vocab_size, config.embedding_width)
        by_root = config.embedding_scale == "sqrt-width" or (
            config.embedding_scale == "by-position" and config.position.scales_embedding
        )
        scale = math.sqrt(config.embedding_width) if by_root else 1.0
        self.projection: nn.Linear | None = None
        self.scale, self.scale_before = scale, 1.0
        if isinstance(config.embedding, PretrainedEmbedding):
            self.projection = nn.Linear(config.embedding_width, config.d_model)
            self.scale, self.scale_before = 1.0, scale
            self.weight.requires_grad_(not config.embedding.frozen)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T) -> (B, T, C)."""
        vectors = F.embedding(tokens, self.weight)  # (B, T, W)
        if self.projection is None:
            return vectors
        projected: Tensor = self.projection(vectors * self.scale_before)
        return projected

    def take(self, vectors: Tensor) -> None:
        """Replace the vectors by the given ones (V, W).

        Raises ValueError if they have another shape or are not all finite.
        """
        if vectors.shape != self.weight.shape:
            raise ValueError(
                f"word vectors have shape {tuple(vectors.shape)}, but the model needs "
                f"{tuple(self.weight.shape)} (tokens, width)"
            )
        if not bool(vectors.isfinite().all()):
            raise ValueError("word vectors are not all finite; use a vector of zeros for tokens without one")
        with torch.no_grad():
            self.weight.copy_(vectors)


class OutputBias(AtRest):
    """One trained value per token, which is added to its logit."""

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(vocab_size))

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.bias)


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputProjection:
    """Hidden states (..., C) to logits (..., V): cap · tanh((scale · h · weightᵀ + bias) / cap)."""

    weight: Tensor
    bias: Tensor | None
    scale: float
    soft_cap: float | None
    product: Callable[[Tensor], Tensor] | None = None
    """Another way to compute h · weightᵀ + bias."""

    def logits(self, hidden: Tensor) -> Tensor:
        """(..., C) -> (..., V)."""
        scaled = hidden if self.scale == 1.0 else hidden * self.scale
        logits = F.linear(scaled, self.weight, self.bias) if self.product is None else self.product(scaled)
        return logits if self.soft_cap is None else torch.tanh(logits / self.soft_cap) * self.soft_cap


class Output(nn.Module):
    """The top of a model. A base class, so that its parameters are named `unembedding` and `output_bias`."""

    embedding: TokenEmbedding

    def add_output(self, config: Architecture, vocab_size: int) -> None:
        # A tied output reads the embedding's own parameter, so there is no second tensor that could differ.
        tied = config.tie_embeddings
        self.unembedding = None if tied else nn.Linear(config.d_model, vocab_size, bias=False)
        self.output_bias = OutputBias(vocab_size) if config.output.bias else None
        # The same weights laid out for decoding, see `harness.models.cpu_decoding`.
        self.packed_output: nn.Module | None = None
        self.output_settings: OutputConfig = config.output
        self.output_scale = config.d_model**-0.5 if config.output.scale == "inverse-sqrt-width" else 1.0

    @property
    def output(self) -> OutputProjection:
        """The projection of hidden states to logits, also for losses that never hold all logits."""
        top = self.embedding if self.unembedding is None else self.unembedding
        return OutputProjection(
            weight=top.weight,
            bias=None if self.output_bias is None else self.output_bias.bias,
            scale=self.output_scale,
            soft_cap=self.output_settings.soft_cap,
            product=self.packed_output,
        )
