"""Every choice of the architecture, on one page. Torch-free, frozen, keyword-only.

Variants are members of a discriminated union on `kind`, each in the file of its part.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import model_validator

from harness.models.config.attention import AttentionConfig, MultiHeadAttention
from harness.models.config.base import Count, Frozen, KindOr, PositiveFloat, Probability
from harness.models.config.checkpointing import Checkpointing, NoCheckpointing
from harness.models.config.embedding import (
    Embedding,
    EmbeddingScale,
    LearnedEmbedding,
    OutputConfig,
    PretrainedEmbedding,
)
from harness.models.config.feedforward import Activation, FeedForwardConfig, PlainFeedForward
from harness.models.config.initialisation import Init, NormalInit
from harness.models.config.norm import FinalNorm, LayerNorm, Norm, NormPlacement
from harness.models.config.position import Position, RotaryPosition


class Architecture(Frozen):
    """The settings that both kinds of model share.

    `init_std` is the standard deviation of embeddings, and of matrices if `init` defines none itself.
    """

    d_model: Count
    n_heads: Count
    d_ff: Count
    max_positions: Count
    position: Position = RotaryPosition()
    norm: Norm = LayerNorm()
    norm_placement: NormPlacement = "pre"
    final_norm: FinalNorm = "by-placement"
    embedding: Embedding = LearnedEmbedding()
    embedding_scale: EmbeddingScale = "by-position"
    embedding_norm: Norm | None = None
    tie_embeddings: bool = True
    output: OutputConfig = OutputConfig()
    attention: AttentionConfig = MultiHeadAttention()
    feedforward: FeedForwardConfig = PlainFeedForward()
    feedforward_placement: Literal["sequential", "parallel"] = "sequential"
    activation: Activation = "gelu"
    dropout: Probability = 0.0
    init: Init = NormalInit()
    init_std: PositiveFloat = 0.02
    checkpointing: Checkpointing = NoCheckpointing()

    @property
    def head_width(self) -> int:
        return self.attention.width_of_head(self)

    @property
    def embedding_width(self) -> int:
        """The width of a token's vector before any projection."""
        return self.embedding.vector_width(self)

    @property
    def auxiliary_losses(self) -> dict[str, float]:
        """The names of the auxiliary losses of all layers, each with its weight in the objective."""
        return {**self.attention.auxiliary_losses, **self.feedforward.auxiliary_losses}

    @property
    def ends_in_norm(self) -> bool:
        """Whether a norm follows the last block."""
        if self.final_norm == "by-placement":
            return self.norm_placement != "post"
        return self.final_norm == "always"

    @model_validator(mode="after")
    def _parts_fit_the_sizes(self) -> Self:
        self.attention.check(self)
        self.position.check(self)
        return self

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        if self.feedforward_placement == "parallel" and self.norm_placement == "post":
            raise ValueError(
                "parallel layers are added in one sum, which norm_placement post would normalise twice; "
                "choose norm_placement pre, both or output"
            )
        if self.tie_embeddings and isinstance(self.embedding, PretrainedEmbedding):
            raise ValueError(
                f"word vectors of width {self.embedding.width} cannot be the output of d_model "
                f"{self.d_model}; set tie_embeddings: false"
            )
        return self


class ModelConfig(Architecture):
    """A decoder-only language model. Raises pydantic's ValidationError if it cannot be built."""

    kind: Literal["decoder"] = "decoder"
    vocab_size: Count
    n_layers: Count


class EncoderDecoderConfig(Architecture):
    """A sequence-to-sequence model (Vaswani et al. 2017, §3.1).

    `vocab_size` is the target's. Without a `source_vocab_size` both sides share one vocabulary and one table
    of vectors. Tied output reads the target's vectors. Raises pydantic's ValidationError if it cannot be
    built.
    """

    kind: Literal["encoder-decoder"] = "encoder-decoder"
    vocab_size: Count
    source_vocab_size: Count | None = None
    n_encoder_layers: Count
    n_decoder_layers: Count

    @model_validator(mode="after")
    def _parts_can_read_a_source(self) -> Self:
        if not self.attention.attends_to_sources:
            raise ValueError(
                f"attention {self.attention.kind} cannot attend to a source; choose another kind of attention"
            )
        if self.source_vocab_size is not None and isinstance(self.embedding, PretrainedEmbedding):
            raise ValueError(
                f"word vectors fill one table, but source_vocab_size {self.source_vocab_size} needs a "
                "second; remove source_vocab_size or set embedding: {kind: learned}"
            )
        return self


AnyModelConfig = Annotated[ModelConfig | EncoderDecoderConfig, KindOr("decoder")]
