"""Every choice of the architecture, on one page. Torch-free, frozen, keyword-only.

Variants are members of a discriminated union on `kind`, each in the file of its part.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Tag, model_validator

from harness.models.config.attention import AttentionConfig
from harness.models.config.base import Count, Frozen, PositiveFloat, Probability
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
    """What both kinds of model share. `attention`'s own dropout, where given, replaces `dropout` there.

    `init_std` is the standard deviation of embeddings, and of matrices where `init` has none of its own.
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
    attention: AttentionConfig = AttentionConfig()
    feedforward: FeedForwardConfig = PlainFeedForward()
    feedforward_placement: Literal["sequential", "parallel"] = "sequential"
    activation: Activation = "gelu"
    dropout: Probability = 0.0
    init: Init = NormalInit()
    init_std: PositiveFloat = 0.02
    checkpointing: Checkpointing = NoCheckpointing()

    @property
    def head_width(self) -> int:
        return self.attention.head_width or self.d_model // self.n_heads

    @property
    def n_kv_heads(self) -> int:
        return self.attention.n_kv_heads or self.n_heads

    @property
    def embedding_width(self) -> int:
        """Values of a token's vector before any projection."""
        return self.embedding.vector_width(self)

    @property
    def ends_in_norm(self) -> bool:
        """Whether a norm follows the last block."""
        if self.final_norm == "by-placement":
            return self.norm_placement != "post"
        return self.final_norm == "always"

    @model_validator(mode="after")
    def _heads_can_be_built(self) -> Self:
        if self.attention.head_width is None and self.d_model % self.n_heads:
            raise ValueError(f"d_model {self.d_model} is not a multiple of n_heads {self.n_heads}")
        if self.n_heads % self.n_kv_heads:
            raise ValueError(f"n_heads {self.n_heads} is not a multiple of n_kv_heads {self.n_kv_heads}")
        return self

    @model_validator(mode="after")
    def _positions_can_be_built(self) -> Self:
        self.position.check(self)
        return self

    @model_validator(mode="after")
    def _blocks_can_be_built(self) -> Self:
        if self.feedforward_placement == "parallel" and self.norm_placement == "post":
            raise ValueError(
                "parallel layers meet in one sum, which norm_placement post cannot normalise twice; choose pre, both or output"
            )
        if self.tie_embeddings and isinstance(self.embedding, PretrainedEmbedding):
            raise ValueError(
                f"word vectors of width {self.embedding.width} cannot be the output of d_model {self.d_model}; "
                "set tie_embeddings: false"
            )
        return self


class ModelConfig(Architecture):
    """A decoder-only language model.

    Raises pydantic's ValidationError (a ValueError) for what cannot be built.
    """

    kind: Literal["decoder"] = "decoder"
    vocab_size: Count
    n_layers: Count


class EncoderDecoderConfig(Architecture):
    """A sequence-to-sequence model (Vaswani et al. 2017, §3.1).

    `vocab_size` is the target's. Without a `source_vocab_size` both sides share one vocabulary and one table
    of vectors. Tied output reads the target's vectors. Raises pydantic's ValidationError for what cannot be
    built.
    """

    kind: Literal["encoder-decoder"] = "encoder-decoder"
    vocab_size: Count
    source_vocab_size: Count | None = None
    n_encoder_layers: Count
    n_decoder_layers: Count

    @model_validator(mode="after")
    def _word_vectors_have_one_table(self) -> Self:
        if self.source_vocab_size is not None and isinstance(self.embedding, PretrainedEmbedding):
            raise ValueError(
                f"word vectors fill one table, and a source_vocab_size {self.source_vocab_size} asks for a second; "
                "leave source_vocab_size out or set embedding: {kind: learned}"
            )
        return self


def _kind(document: Any) -> str:
    """Decoder-only where nothing is said."""
    if isinstance(document, dict):
        return str(document.get("kind", "decoder"))
    return str(getattr(document, "kind", "decoder"))


AnyModelConfig = Annotated[
    Annotated[ModelConfig, Tag("decoder")] | Annotated[EncoderDecoderConfig, Tag("encoder-decoder")],
    Discriminator(_kind),
]
