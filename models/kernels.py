"""Attention itself: softmax(q·k + mask)·v, written out or left to torch.

B batch, H heads, G = H / heads of keys and values, T queries, S keys, D width of a head.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from models.config import Architecture, MaterialisedKernel, SDPAKernel

BACKENDS = {
    "math": SDPBackend.MATH,
    "flash": SDPBackend.FLASH_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class AttentionMask:
    """What a query may see, made once a forward pass.

    `tensor` (1 or B, 1 or H, T, S) is bool (True = may be attended to) or added to the logits; None lets everything
    through, but for `is_causal`, which stands for the causal mask of as many queries as keys.
    """

    tensor: Tensor | None = None
    is_causal: bool = False


EVERYTHING = AttentionMask()


class AttentionKernel(ABC):
    """(B, H, T, D), (B, H / G, S, D) twice and a mask to (B, H, T, D)."""

    # Whether `is_causal` is understood; otherwise masks are always tensors.
    knows_causal: bool

    def __init__(self, config: Architecture) -> None:
        scale = config.attention.scale
        self.scale = 1.0 / math.sqrt(config.head_width) if scale is None else scale
        self.groups = config.n_heads // config.n_kv_heads

    @abstractmethod
    def __call__(self, q: Tensor, k: Tensor, v: Tensor, mask: AttentionMask, *, dropout: float) -> Tensor:
        """`dropout` is the probability that an attention weight is dropped."""


class Materialised(AttentionKernel):
    """The reference. Logits are scaled, clamped, capped, then masked or biased."""

    knows_causal = False

    def __init__(self, config: Architecture) -> None:
        super().__init__(config)
        self.clamp, self.soft_cap = config.attention.clamp, config.attention.soft_cap

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
                # The least finite value, not -inf: a query that sees nothing must not become NaN.
                logits = logits.masked_fill(~mask.tensor, torch.finfo(logits.dtype).min)
            else:
                logits = logits + mask.tensor
        weights = F.dropout(logits.softmax(dim=-1), dropout, training=dropout > 0.0)
        return weights @ v


class ScaledDotProduct(AttentionKernel):
    """torch's own kernels."""

    knows_causal = True

    def __init__(self, config: Architecture, settings: SDPAKernel) -> None:
        super().__init__(config)
        self.backends = [BACKENDS[name] for name in settings.backends]

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


def build_kernel(config: Architecture) -> AttentionKernel:
    match config.attention.kernel:
        case MaterialisedKernel():
            return Materialised(config)
        case SDPAKernel() as settings:
            return ScaledDotProduct(config, settings)
