"""Every choice of the architecture. `model` lists them on one page; every part has a file. Torch-free."""

from __future__ import annotations

from harness.models.config.attention import (
    AttentionConfig,
    ByShapeKernel,
    CachedToken,
    Kernel,
    MaterialisedKernel,
    MultiHeadAttention,
    QKVProjection,
    SDPAKernel,
)
from harness.models.config.base import (
    DOUBLING_FIRST_CAPACITY,
    FROM_LIST,
    IGNORED_TARGET,
    CacheKind,
    Count,
    Frozen,
    PositiveFloat,
    Probability,
    Sizes,
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
)

__all__ = [
    "DOUBLING_FIRST_CAPACITY",
    "FROM_LIST",
    "IGNORED_TARGET",
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
    "CachedToken",
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
    "MultiHeadAttention",
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
    "Sizes",
    "SquaredXavierInit",
    "TruncatedNormalInit",
    "WholeLogits",
    "XavierInit",
]
