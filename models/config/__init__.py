"""Every choice of the architecture: `model` has them on one page, each part its own file. Torch-free."""

from __future__ import annotations

from harness.models.config.attention import (
    AttentionConfig,
    ByShapeKernel,
    Kernel,
    MaterialisedKernel,
    QKVProjection,
    SDPAKernel,
)
from harness.models.config.base import (
    DOUBLING_FIRST_CAPACITY,
    CacheKind,
    Count,
    Frozen,
    PositiveFloat,
    Probability,
)
from harness.models.config.checkpointing import (
    AttentionCheckpointing,
    BlockCheckpointing,
    Checkpointing,
    NoCheckpointing,
)
from harness.models.config.embedding import (
    Embedding,
    EmbeddingScale,
    LearnedEmbedding,
    OutputConfig,
    PretrainedEmbedding,
)
from harness.models.config.feedforward import (
    Activation,
    FeedForwardConfig,
    GatedFeedForward,
    PlainFeedForward,
)
from harness.models.config.initialisation import (
    Init,
    KaimingInit,
    LeCunInit,
    NormalInit,
    SquaredXavierInit,
    TruncatedNormalInit,
    XavierInit,
)
from harness.models.config.loss import (
    ChunkedLogits,
    LossConfig,
    WholeLogits,
)
from harness.models.config.model import (
    AnyModelConfig,
    Architecture,
    EncoderDecoderConfig,
    ModelConfig,
)
from harness.models.config.norm import (
    FinalNorm,
    LayerNorm,
    NonParametricNorm,
    Norm,
    NormPlacement,
    QKNorm,
    RMSNorm,
)
from harness.models.config.position import (
    AlibiPosition,
    LearnedPosition,
    NoPosition,
    Position,
    RelativePosition,
    RotaryPosition,
    SinusoidalPosition,
)
from harness.models.config.presets import (
    PRESETS,
    TRANSLATION_PRESETS,
    encoder_decoder_config,
    model_config,
)

__all__ = [
    "DOUBLING_FIRST_CAPACITY",
    "PRESETS",
    "TRANSLATION_PRESETS",
    "Activation",
    "AlibiPosition",
    "AnyModelConfig",
    "Architecture",
    "AttentionCheckpointing",
    "AttentionConfig",
    "BlockCheckpointing",
    "ByShapeKernel",
    "CacheKind",
    "Checkpointing",
    "ChunkedLogits",
    "Count",
    "Embedding",
    "EmbeddingScale",
    "EncoderDecoderConfig",
    "FeedForwardConfig",
    "FinalNorm",
    "Frozen",
    "GatedFeedForward",
    "Init",
    "KaimingInit",
    "Kernel",
    "LayerNorm",
    "LeCunInit",
    "LearnedEmbedding",
    "LearnedPosition",
    "LossConfig",
    "MaterialisedKernel",
    "ModelConfig",
    "NoCheckpointing",
    "NoPosition",
    "NonParametricNorm",
    "Norm",
    "NormPlacement",
    "NormalInit",
    "OutputConfig",
    "PlainFeedForward",
    "Position",
    "PositiveFloat",
    "PretrainedEmbedding",
    "Probability",
    "QKNorm",
    "QKVProjection",
    "RMSNorm",
    "RelativePosition",
    "RotaryPosition",
    "SDPAKernel",
    "SinusoidalPosition",
    "SquaredXavierInit",
    "TruncatedNormalInit",
    "WholeLogits",
    "XavierInit",
    "encoder_decoder_config",
    "model_config",
]
