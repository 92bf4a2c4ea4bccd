"""Multi-head causal self-attention (Vaswani et al. 2017, §3.2).

B batch, T queries, S keys (T plus what a cache holds), C = d_model, H heads, D = C / H.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.cache import Cache
from models.config import ModelConfig
from models.position import Rotation, rotate


@dataclass(frozen=True, kw_only=True, slots=True)
class AttentionContext:
    """What the layers of one forward pass share. `mask` (·, 1, T, S): True = may be attended to."""

    mask: Tensor | None
    is_causal: bool
    rotation: Rotation | None
    cache: Cache | None


def causal_mask(queries: int, keys: int, *, device: torch.device) -> Tensor:
    """(T, S), aligned at the bottom right: the last query sees every key.

    `is_causal=True` aligns at the top left, which is wrong as soon as keys come from a cache (pytorch#108108).
    """
    return torch.ones((queries, keys), dtype=torch.bool, device=device).tril(keys - queries)


def attention_mask(queries: int, keys: int, *, valid: Tensor | None, device: torch.device) -> Tensor | None:
    """The mask (1 or B, 1, T, S) of the newest `queries` over `keys`; `valid` (B, S) marks real tokens.

    None where the kernel needs none: a single query, or as many queries as keys (then `is_causal` is right).
    """
    if valid is None:
        if queries in (1, keys):
            return None
        return causal_mask(queries, keys, device=device)[None, None]
    causal = causal_mask(queries, keys, device=device)
    # Padding attends to itself: a row of nothing but False would make NaN.
    itself = torch.eye(queries, dtype=torch.bool, device=device)
    itself = F.pad(itself, (keys - queries, 0))  # (T, S)
    return ((causal & valid[:, None, :]) | itself)[:, None]


class Attention(nn.Module):
    def __init__(self, config: ModelConfig, *, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.n_heads, self.head_width, self.dropout = config.n_heads, config.head_width, config.dropout
        self.q = nn.Linear(config.d_model, config.d_model)
        self.k = nn.Linear(config.d_model, config.d_model)
        self.v = nn.Linear(config.d_model, config.d_model)
        self.out = nn.Linear(config.d_model, config.d_model)

    def forward(self, x: Tensor, context: AttentionContext) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        batch, tokens, d_model = x.shape
        heads = (batch, tokens, self.n_heads, self.head_width)
        q = self.q(x).view(heads).transpose(1, 2)  # (B, H, T, D)
        k = self.k(x).view(heads).transpose(1, 2)  # (B, H, T, D)
        v = self.v(x).view(heads).transpose(1, 2)  # (B, H, T, D)
        if context.rotation is not None:
            q, k = rotate(q, context.rotation), rotate(k, context.rotation)
        if context.cache is not None:
            k, v = context.cache.append(self.layer, k, v)  # (B, H, S, D)
        attended = F.scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=context.mask,
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=context.is_causal,
        )  # (B, H, T, D)
        merged = attended.transpose(1, 2).reshape(batch, tokens, d_model)  # (B, T, C)
        projected: Tensor = self.out(merged)
        return projected
