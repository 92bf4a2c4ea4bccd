"""Attention from a decoder to what the encoder made of the source (Vaswani et al. 2017, §3.2.3).

B batch, T queries, S source tokens, C = d_model, H heads, K heads of keys and values, D width of a head.
"""

from __future__ import annotations

from torch import Tensor, nn

from harness.models.attention import AttentionContext, Memory, QueryKeyNorm
from harness.models.attention_kernels import build_kernel
from harness.models.config import Architecture


class CrossAttention(nn.Module):
    """Keys and values of the source are computed once a source where there is a cache to keep them."""

    def __init__(self, config: Architecture, *, layer: int) -> None:
        super().__init__()
        settings = config.attention
        self.layer = layer
        self.n_heads, self.n_kv_heads, self.head_width = config.n_heads, config.n_kv_heads, config.head_width
        self.dropout = config.dropout if settings.dropout is None else settings.dropout
        self.kernel = build_kernel(config)
        queries, others = self.n_heads * self.head_width, self.n_kv_heads * self.head_width
        self.q = nn.Linear(config.d_model, queries, bias=settings.qkv_bias)
        self.k = nn.Linear(config.d_model, others, bias=settings.qkv_bias)
        self.v = nn.Linear(config.d_model, others, bias=settings.qkv_bias)
        self.out = nn.Linear(queries, config.d_model, bias=settings.out_bias)
        self.qk_norm = None if settings.qk_norm is None else QueryKeyNorm(settings.qk_norm, config)

    def forward(self, x: Tensor, context: AttentionContext) -> Tensor:
        """(B, T, C) -> (B, T, C).

        B may be a multiple of the source's rows: then each of those serves its neighbours.
        """
        assert context.memory is not None
        batch, tokens, _ = x.shape
        k, v = self._source(context, context.memory)  # (B', K, S, D)
        q = self.q(x).view(batch, tokens, self.n_heads, self.head_width)
        if self.qk_norm is not None:
            q = self.qk_norm.queries(q)
        rows = k.shape[0]
        # Beams of one source are more queries of it: its keys and values need not be copied for each.
        q = q.view(rows, batch // rows * tokens, self.n_heads, self.head_width).transpose(1, 2)
        dropout = self.dropout if self.training else 0.0
        attended = self.kernel(q, k, v, context.memory.mask, dropout=dropout)
        projected: Tensor = self.out(attended.transpose(1, 2).reshape(batch, tokens, -1))
        return projected

    def project_source(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Source states (B, S, C) to keys and values, each (B, K, S, D); contiguous, since every step reads
        them.
        """
        batch, length, _ = states.shape
        heads = (batch, length, self.n_kv_heads, self.head_width)
        k, v = self.k(states).view(heads), self.v(states).view(heads)
        if self.qk_norm is not None:
            k = self.qk_norm.keys(k)
        return k.transpose(1, 2).contiguous(), v.transpose(1, 2).contiguous()

    def _source(self, context: AttentionContext, memory: Memory) -> tuple[Tensor, Tensor]:
        kept = None if context.cache is None else context.cache.cross(self.layer)
        if kept is not None:
            return kept
        assert memory.states is not None
        k, v = self.project_source(memory.states)
        if context.cache is not None:
            context.cache.keep_cross(self.layer, k, v)
        return k, v
