"""Attention from a decoder to the encoder's states of the source (Vaswani et al. 2017, §3.2.3).

B batch, T queries, S source tokens, C = d_model, H heads, K heads of keys and values, D width of a head. R
rows of the source, of which B is a multiple.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from harness.models.attention import AttentionContext, Memory, MultiHead
from harness.models.config import Architecture, MultiHeadAttention


class CrossAttention(MultiHead):
    """Computes keys and values of a source once per source if there is a cache to keep them in."""

    only_called: ClassVar[bool] = False

    def forward(self, x: Tensor, context: AttentionContext) -> Tensor:
        """(B, T, C) -> (B, T, C).

        B may be a multiple of the rows of the source: neighbouring rows then share one source.
        """
        assert context.memory is not None
        batch, tokens, _ = x.shape
        k, v = self._source(context, context.memory)  # (R, K, S, D)
        q = self.q(x).view(batch, tokens, self.n_heads, self.head_width)
        if self.qk_norm is not None:
            q = self.qk_norm.queries(q)
        rows = k.shape[0]
        # Beams of one source count as more queries of it, so that its keys and values need not be copied.
        q = q.view(rows, batch // rows * tokens, self.n_heads, self.head_width).transpose(1, 2)
        dropout = self.dropout if self.training else 0.0
        attended = self.kernel(q, k, v, context.memory.mask, dropout=dropout)  # (R, H, B / R · T, D)
        projected: Tensor = self.out(attended.transpose(1, 2).reshape(batch, tokens, -1))
        return projected

    def project_source(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """States of the source (R, S, C) to keys and values, each (R, K, S, D) and contiguous, since every
        step reads them.
        """
        batch, length, _ = states.shape
        heads = (batch, length, self.n_kv_heads, self.head_width)
        k, v = self.k(states).view(heads), self.v(states).view(heads)
        if self.qk_norm is not None:
            k = self.qk_norm.keys(k)
        return k.transpose(1, 2).contiguous(), v.transpose(1, 2).contiguous()

    def _source(self, context: AttentionContext, memory: Memory) -> tuple[Tensor, Tensor]:
        cached = None if context.cache is None else context.cache.cross(self.layer)
        if cached is not None:
            return cached
        assert memory.states is not None
        k, v = self.project_source(memory.states)
        if context.cache is not None:
            context.cache.keep_cross(self.layer, k, v)
        return k, v


def build_cross_attention(config: Architecture, *, layer: int) -> CrossAttention:
    """Its projections are always separate: queries and keys come from different states."""
    match config.attention:
        case MultiHeadAttention() as settings:
            return CrossAttention(settings, config, layer=layer)
