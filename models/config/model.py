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
    """The width of the hidden states."""

    n_heads: Count
    """The number of attention heads of a layer."""

    d_ff: Count
    """The width inside a feed-forward layer."""

    max_positions: Count
    """The largest number of positions that the model can see."""

    position: Position = RotaryPosition()
    """How the model knows the order of its tokens."""

    norm: Norm = LayerNorm()
    """The kind of normalisation in every block."""

    norm_placement: NormPlacement = "pre"
    """Where a block normalises: before a layer (pre), after the sum (post), on both sides of a layer (both),
    or at the output of a layer (output).
    """

    final_norm: FinalNorm = "by-placement"
    """Whether a norm follows the last block. by-placement adds it unless the blocks end in a norm."""

    embedding: Embedding = LearnedEmbedding()
    """How tokens become vectors."""

    embedding_scale: EmbeddingScale = "by-position"
    """The factor on the vectors of tokens. by-position means sqrt-width with sinusoidal positions, and one
    otherwise.
    """

    embedding_norm: Norm | None = None
    """A norm directly after the embedding. Default: none."""

    tie_embeddings: bool = True
    """Whether the output uses the same matrix as the embedding."""

    output: OutputConfig = OutputConfig()
    """How hidden states become logits."""

    attention: AttentionConfig = MultiHeadAttention()
    """The attention layers, with their projections and the kernel that computes them."""

    feedforward: FeedForwardConfig = PlainFeedForward()
    """The kind of feed-forward layer."""

    feedforward_placement: Literal["sequential", "parallel"] = "sequential"
    """Whether the feed-forward layer follows the attention, or both read the same input in parallel."""

    activation: Activation = "gelu"
    """The activation function of the feed-forward layers."""

    dropout: Probability = 0.0
    """The probability with which a value is set to zero in training."""

    init: Init = NormalInit()
    """How matrices are initialised."""

    init_std: PositiveFloat = 0.02
    """The standard deviation of embeddings, and of matrices if `init` defines none itself."""

    checkpointing: Checkpointing = NoCheckpointing()
    """Which activations are computed again in the backward pass instead of being stored."""

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
    """A decoder-only language model."""

    kind: Literal["decoder"] = "decoder"
    vocab_size: Count
    """The number of tokens. It comes from the tokenizer if the task has one."""

    n_layers: Count
    """The number of blocks."""


class EncoderDecoderConfig(Architecture):
    """A sequence-to-sequence model (Vaswani et al. 2017, §3.1).

    `vocab_size` is the target's. Without a `source_vocab_size` both sides share one vocabulary and one table
    of vectors. Tied output reads the target's vectors.
    """

    kind: Literal["encoder-decoder"] = "encoder-decoder"
    vocab_size: Count
    """The number of tokens of the target. It comes from the tokenizer if the task has one."""

    source_vocab_size: Count | None = None
    """The number of tokens of the source. Without it, both sides share one vocabulary."""

    n_encoder_layers: Count
    """The number of blocks of the encoder."""

    n_decoder_layers: Count
    """The number of blocks of the decoder."""

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
