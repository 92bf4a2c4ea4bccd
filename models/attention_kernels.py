"""Attention itself: softmax(q·k + mask)·v, written out or left to torch.

B batch, H heads, G = H / (heads of keys and values), T queries, S keys, D width of a head.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from harness.models.config import ByShapeKernel, MaterialisedKernel, MultiHeadAttention, SDPAKernel, Sizes
from harness.models.dropout import dropout as fast_dropout

BACKENDS = {
    "math": SDPBackend.MATH,
    "flash": SDPBackend.FLASH_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class AttentionMask:
    """The keys that a query may see; made once per forward pass.

    `tensor` (1 or B, 1 or H, T, S) is bool (True = may be attended to) or is added to the logits. With None
    everything is visible, unless `is_causal` stands for the causal mask of as many queries as keys.
    """

    tensor: Tensor | None = None
    is_causal: bool = False


EVERYTHING = AttentionMask()


class AttentionKernel(ABC):
    """Queries (B, H, T, D), keys and values (B, H / G, S, D) and a mask to outputs (B, H, T, D)."""

    # Whether the kernel understands `is_causal`; otherwise masks are always tensors.
    knows_causal: bool

    def __init__(self, settings: MultiHeadAttention, sizes: Sizes) -> None:
        self.scale = 1.0 / math.sqrt(sizes.head_width) if settings.scale is None else settings.scale
        self.groups = sizes.n_heads // settings.kv_heads(sizes)

    @abstractmethod
    def __call__(self, q: Tensor, k: Tensor, v: Tensor, mask: AttentionMask, *, dropout: float) -> Tensor:
        """`dropout` is the probability that an attention weight is dropped."""


class Materialised(AttentionKernel):
    """The reference. Logits are scaled, clamped, capped, then masked or biased."""

    knows_causal = False

    def __init__(self, settings: MultiHeadAttention, sizes: Sizes) -> None:
        super().__init__(settings, sizes)
        self.clamp, self.soft_cap = settings.clamp, settings.soft_cap

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, mask: AttentionMask, *, dropout: float) -> Tensor:
        if self.groups > 1:
            k, v = k.repeat_interleave(self.groups, dim=1), v.repeat_interleave(self.groups, dim=1)
        logits = (q * self.scale) @ k.transpose(-2, -1)  # (B, H, T, S)
        if self.clamp is not None:
            logits = logits.clamp(-self.clamp, self.clamp)
        if self.soft_cap is not None:
            logits = torch.tanh(logits / self.soft_cap) * self.soft_cap
        if mask.tensor is not None:
            if mask.tensor.dtype == torch.bool:
                # The least finite value, not -inf, because a query that sees no key must not become NaN.
                logits = logits.masked_fill(~mask.tensor, torch.finfo(logits.dtype).min)
            else:
                logits = logits + mask.tensor
        weights = F.dropout(logits.softmax(dim=-1), dropout, training=dropout > 0.0)
        return weights @ v


class ScaledDotProduct(AttentionKernel):
    """torch's own kernels."""

    knows_causal = True

    def __init__(self, settings: MultiHeadAttention, sizes: Sizes, backends: Sequence[str] = ()) -> None:
        super().__init__(settings, sizes)
        self.backends = [BACKENDS[name] for name in backends]

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, mask: AttentionMask, *, dropout: float) -> Tensor:
        if self.backends:
            with sdpa_kernel(self.backends):
                return self._attend(q, k, v, mask, dropout)
        return self._attend(q, k, v, mask, dropout)

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, mask: AttentionMask, dropout: float) -> Tensor:
        return F.scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=mask.tensor,
            dropout_p=dropout,
            is_causal=mask.is_causal,
            scale=self.scale,
            enable_gqa=self.groups > 1,
        )


# With more logits per head and row than this, torch's kernel, which never stores them, is faster in float32.
# Measured on a CPU.
WRITTEN_OUT_LOGITS = 512 * 512
# From so many heads of keys on, counted over all rows, batched products are faster for one query.
WRITTEN_OUT_ROWS = 64


class ByShape(ScaledDotProduct):
    """Batched products and a softmax for short sequences on a CPU, torch's own kernel otherwise.

    On a CPU torch's backward pass takes 2 to 6 times as long at up to 256 tokens. One query of few heads (a
    decoding step) is too little work for the products to be faster.
    """

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, mask: AttentionMask, dropout: float) -> Tensor:
        queries, keys = q.shape[2], k.shape[2]
        many = queries > 1 or k.shape[0] * k.shape[1] >= WRITTEN_OUT_ROWS
        if q.device.type == "cpu" and many and queries * keys <= WRITTEN_OUT_LOGITS:
            return self._written_out(q, k, v, mask, dropout)
        return super()._attend(q, k, v, mask, dropout)

    def _written_out(self, q: Tensor, k: Tensor, v: Tensor, mask: AttentionMask, dropout: float) -> Tensor:
        batch, heads, queries, width = q.shape
        keys, rows = k.shape[2], batch * k.shape[1]
        # Heads that share keys count as more queries of one head, so that keys need not be copied.
        q = q.reshape(rows, self.groups * queries, width)
        k, v = k.reshape(rows, keys, width), v.reshape(rows, keys, width)
        nothing = q.new_zeros(())
        logits = torch.baddbmm(nothing, q, k.transpose(1, 2), beta=0.0, alpha=self.scale)
        if mask.is_causal or mask.tensor is not None:
            added = _additive(mask, queries, keys, like=logits)
            logits = logits.view(batch, heads, queries, keys).add_(added).view_as(logits)
        weights = logits.softmax(dim=-1, dtype=logits.dtype)  # (B · K, G · T, S)
        if dropout > 0.0:
            weights = fast_dropout(weights, dropout)
        return torch.bmm(weights, v).view(batch, heads, queries, width)


def _additive(mask: AttentionMask, queries: int, keys: int, *, like: Tensor) -> Tensor:
    """The mask (1 or B, 1 or H, T, S) as a tensor that is added to logits."""
    if mask.tensor is None:
        hidden = torch.full((queries, keys), -torch.inf, dtype=like.dtype, device=like.device)
        return hidden.triu(1)
    if mask.tensor.dtype == torch.bool:
        # The least finite value, not -inf, because a query that sees no key must not become NaN.
        open_everywhere = torch.zeros(mask.tensor.shape, dtype=like.dtype, device=like.device)
        return open_everywhere.masked_fill_(~mask.tensor, torch.finfo(like.dtype).min)
    return mask.tensor


def build_kernel(settings: MultiHeadAttention, sizes: Sizes) -> AttentionKernel:
    match settings.kernel:
        case MaterialisedKernel():
            return Materialised(settings, sizes)
        case SDPAKernel(backends=backends):
            return ScaledDotProduct(settings, sizes, backends)
        case ByShapeKernel():
            return ByShape(settings, sizes)
