"""Attention: its projections, what bounds its logits, and the kernel that computes it.

Every kind says how many `parameters` a layer has, how many multiplications, its `products`, a token costs,
and what a cache keeps of a token.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, ClassVar, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from harness.models.config.base import (
    FROM_LIST,
    Count,
    Frozen,
    KindOr,
    LayerPart,
    PositiveFloat,
    Probability,
    Sizes,
)
from harness.models.config.norm import QKNorm


class CachedToken(NamedTuple):
    """What a layer keeps of one token: for each of so many heads, a key and a value of these widths."""

    heads: int
    key_width: int
    value_width: int

    @property
    def numbers(self) -> int:
        return self.heads * (self.key_width + self.value_width)


class MaterialisedKernel(Frozen):
    """Logits, softmax and product written out: the reference, and the only kernel that can bound logits."""

    kind: Literal["materialised"] = "materialised"


class SDPAKernel(Frozen):
    """`torch.nn.functional.scaled_dot_product_attention` with one of the listed backends.

    Without a list torch chooses.
    """

    kind: Literal["sdpa"] = "sdpa"
    backends: Annotated[tuple[Literal["math", "flash", "efficient", "cudnn"], ...], FROM_LIST] = ()
    """The backends that torch may use. Without a list, torch chooses."""


class ByShapeKernel(Frozen):
    """Written out for short sequences on a CPU, otherwise sdpa: the one that was measured to be faster."""

    kind: Literal["by-shape"] = "by-shape"


Kernel = Annotated[MaterialisedKernel | SDPAKernel | ByShapeKernel, Field(discriminator="kind")]

# Three products; one product whose parts are views; or one whose parts are copied into memory of their own.
QKVProjection = Literal["separate", "fused", "fused-copied"]


class AttentionPart(LayerPart):
    """What the rest of the model asks of every kind of attention."""

    # Whether the decoder of an encoder-decoder can use it. Such a kind also defines the costs of
    # cross-attention, which has the parameters of a layer of its own.
    attends_to_sources: ClassVar[bool] = False

    @abstractmethod
    def width_of_head(self, sizes: Sizes) -> int:
        """The width of queries and keys, which rotary positions rotate."""

    @abstractmethod
    def products(self, sizes: Sizes, *, keys: int) -> int:
        """Multiplications of one layer for a token that attends to so many keys."""

    @abstractmethod
    def cached(self, sizes: Sizes) -> CachedToken:
        """What a cache keeps of one token."""

    def check(self, sizes: Sizes) -> None:
        """Raises ValueError if a model of these sizes cannot have this attention."""

    def cross_products(self, sizes: Sizes, *, source: int) -> int:
        """Multiplications of cross-attention for a token that attends to so many source tokens."""
        raise NotImplementedError

    def source_products(self, sizes: Sizes) -> int:
        """Multiplications of cross-attention for a source token: its key and its value."""
        raise NotImplementedError


class MultiHeadAttention(AttentionPart):
    """Multi-head attention (Vaswani et al. 2017, §3.2.2).

    `n_kv_heads` below the model's n_heads is grouped-query attention, 1 is multi-query attention (Ainslie et
    al. 2023, §2.2). `scale` multiplies q·k in place of 1 / sqrt(head width) (T5: 1). `clamp` cuts the scaled
    logits off at ±clamp, `soft_cap` squeezes them by cap · tanh(logits / cap) (Gemma 2). Layer l sees the
    newest `windows[l % len(windows)]` keys, its own included; None means all keys. Cross-attention has no
    window. `dropout`, if given, replaces the model's dropout here.
    """

    kind: Literal["multi-head"] = "multi-head"
    n_kv_heads: Count | None = None
    """The number of heads of keys and values. Fewer than n_heads is grouped-query attention, 1 is multi-query
    attention.
    """

    head_width: Count | None = None
    """The width of a head. Default: d_model / n_heads."""

    projection: QKVProjection = "separate"
    """Whether queries, keys and values are three products or one, and then views or copies."""

    qkv_bias: bool = True
    """Whether the projections to queries, keys and values have a bias."""

    out_bias: bool = True
    """Whether the projection of the output has a bias."""

    scale: PositiveFloat | None = None
    """The factor on the logits of attention. Default: 1 / sqrt(width of a head)."""

    qk_norm: QKNorm | None = None
    """Normalises queries and keys before they are rotated. Default: no norm."""

    kernel: Kernel = ByShapeKernel()
    """The implementation that computes attention."""

    windows: Annotated[tuple[Count | None, ...], Field(min_length=1), FROM_LIST] = (None,)
    """Layer l sees the newest `windows[l % number of windows]` keys. null means all keys."""

    clamp: PositiveFloat | None = None
    """Cuts the logits of attention off at plus and minus this number."""

    soft_cap: PositiveFloat | None = None
    """Squeezes the logits of attention between minus and plus this number (Gemma 2)."""

    dropout: Probability | None = None
    """Replaces the dropout of the model in attention."""

    attends_to_sources: ClassVar[bool] = True

    @model_validator(mode="after")
    def _kernel_can_bound_logits(self) -> Self:
        bounds = [name for name in ("clamp", "soft_cap") if getattr(self, name) is not None]
        if bounds and not isinstance(self.kernel, MaterialisedKernel):
            raise ValueError(
                f"{bounds[0]} bounds logits, which the kernel {self.kernel.kind} never shows; "
                "set kernel: {kind: materialised}"
            )
        return self

    def check(self, sizes: Sizes) -> None:
        if self.head_width is None and sizes.d_model % sizes.n_heads:
            raise ValueError(f"d_model {sizes.d_model} is not a multiple of n_heads {sizes.n_heads}")
        if sizes.n_heads % self.kv_heads(sizes):
            raise ValueError(
                f"n_heads {sizes.n_heads} is not a multiple of n_kv_heads {self.kv_heads(sizes)}"
            )

    def width_of_head(self, sizes: Sizes) -> int:
        return self.head_width or sizes.d_model // sizes.n_heads

    def kv_heads(self, sizes: Sizes) -> int:
        """The number of heads of keys and values."""
        return self.n_kv_heads or sizes.n_heads

    def query_width(self, sizes: Sizes) -> int:
        """The width of the queries of all heads together."""
        return sizes.n_heads * sizes.head_width

    def key_width(self, sizes: Sizes) -> int:
        """The width of the keys of all heads together, which is also the width of the values."""
        return self.kv_heads(sizes) * sizes.head_width

    def parameters(self, sizes: Sizes) -> int:
        queries, keys = self.query_width(sizes), self.key_width(sizes)
        count = 2 * sizes.d_model * (queries + keys)
        count += queries + 2 * keys if self.qkv_bias else 0
        count += sizes.d_model if self.out_bias else 0
        if self.qk_norm is not None:
            per_head = self.qk_norm.over == "head"
            widths = (sizes.head_width, sizes.head_width) if per_head else (queries, keys)
            count += sum(self.qk_norm.norm.parameters(width) for width in widths)
        return count

    def products(self, sizes: Sizes, *, keys: int) -> int:
        queries = self.query_width(sizes)
        return 2 * sizes.d_model * (queries + self.key_width(sizes)) + 2 * keys * queries

    def cross_products(self, sizes: Sizes, *, source: int) -> int:
        return 2 * (sizes.d_model + source) * self.query_width(sizes)

    def source_products(self, sizes: Sizes) -> int:
        return 2 * sizes.d_model * self.key_width(sizes)

    def cached(self, sizes: Sizes) -> CachedToken:
        return CachedToken(self.kv_heads(sizes), sizes.head_width, sizes.head_width)


AttentionConfig = Annotated[MultiHeadAttention, KindOr("multi-head")]
