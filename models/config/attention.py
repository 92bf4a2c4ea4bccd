"""Multi-head attention: heads, projections, what bounds its logits, and the kernel that computes it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from harness.models.config.base import FROM_LIST, Count, Frozen, PositiveFloat, Probability
from harness.models.config.norm import QKNorm


class MaterialisedKernel(Frozen):
    """Logits, softmax and product written out: the reference, and the only one that can bound logits."""

    kind: Literal["materialised"] = "materialised"


class SDPAKernel(Frozen):
    """`torch.nn.functional.scaled_dot_product_attention`, by one of the backends named; none named: torch's
    choice.
    """

    kind: Literal["sdpa"] = "sdpa"
    backends: Annotated[tuple[Literal["math", "flash", "efficient", "cudnn"], ...], FROM_LIST] = ()


class ByShapeKernel(Frozen):
    """Written out for short sequences on a CPU, else sdpa: whichever was measured to be faster at the shape."""

    kind: Literal["by-shape"] = "by-shape"


Kernel = Annotated[MaterialisedKernel | SDPAKernel | ByShapeKernel, Field(discriminator="kind")]

# Three products; one product whose parts are views; or one whose parts are copied into memory of their own.
QKVProjection = Literal["separate", "fused", "fused-copied"]


class AttentionConfig(Frozen):
    """Settings of all attention layers.

    `n_kv_heads` below the model's n_heads is grouped-query attention, 1 multi-query (Ainslie et al. 2023,
    §2.2). `scale` multiplies q·k in place of 1 / sqrt(head width) (T5: 1). `clamp` cuts the scaled logits off
    at ±clamp, `soft_cap` squeezes them by cap · tanh(logits / cap) (Gemma 2). Layer l sees the newest
    `windows[l % len(windows)]` keys, itself included; None sees all of them. Cross-attention has no window.
    """

    n_kv_heads: Count | None = None
    head_width: Count | None = None
    projection: QKVProjection = "separate"
    qkv_bias: bool = True
    out_bias: bool = True
    scale: PositiveFloat | None = None
    qk_norm: QKNorm | None = None
    kernel: Kernel = ByShapeKernel()
    windows: Annotated[tuple[Count | None, ...], Field(min_length=1), FROM_LIST] = (None,)
    clamp: PositiveFloat | None = None
    soft_cap: PositiveFloat | None = None
    dropout: Probability | None = None

    @model_validator(mode="after")
    def _kernel_can(self) -> Self:
        bounded = [name for name in ("clamp", "soft_cap") if getattr(self, name) is not None]
        if bounded and not isinstance(self.kernel, MaterialisedKernel):
            raise ValueError(
                f"{bounded[0]} bounds logits that {self.kernel.kind} never shows; set kernel: {{kind: materialised}}"
            )
        return self
