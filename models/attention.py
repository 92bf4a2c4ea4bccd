"""Multi-head attention to the same tokens or to a source (Vaswani et al. 2017, §3.2), and the masks that its
layers share.

B batch, T queries, S keys (T plus what a cache holds, or source tokens), C = d_model, H heads, K heads of
keys and values, D head width. R rows of the source, of which B is a multiple.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.models.attention_kernels import AttentionMask, build_kernel
from harness.models.cache import Cache
from harness.models.config import Architecture, CachedToken, MultiHeadAttention, QKNorm
from harness.models.layer import LayerOutput, ResidualLayer
from harness.models.norm import build_norm
from harness.models.position import Positions, Rotation, offsets
from harness.models.self_initialised import StackedLinear


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """The source that cross-attention attends to.

    `states` are (B, S, C), or None if a cache already holds their keys and values.
    """

    states: Tensor | None
    mask: AttentionMask


@dataclass(frozen=True, kw_only=True, slots=True)
class AttentionContext:
    """What the layers of one forward pass share. `masks` has one mask per width of window."""

    masks: Mapping[int | None, AttentionMask]
    rotation: Rotation | None
    cache: Cache | None
    memory: Memory | None = None


def causal_mask(queries: int, keys: int, *, device: torch.device) -> Tensor:
    """(T, S), aligned at the bottom right: the last query sees every key.

    `is_causal=True` aligns at the top left, which is wrong as soon as keys come from a cache
    (pytorch#108108).
    """
    return torch.ones((queries, keys), dtype=torch.bool, device=device).tril(keys - queries)


def attention_mask(queries: int, keys: int, *, valid: Tensor | None, device: torch.device) -> Tensor | None:
    """The mask (1 or B, 1, T, S) of the newest `queries` over `keys`; `valid` (B, S) marks real tokens.

    None if the kernel needs no tensor: for a single query, or for as many queries as keys (then `is_causal`
    is right).
    """
    if valid is None:
        if queries in (1, keys):
            return None
        return causal_mask(queries, keys, device=device)[None, None]
    causal = causal_mask(queries, keys, device=device)
    # Padding attends to itself, because a row that is False everywhere would give NaN.
    itself = torch.eye(queries, dtype=torch.bool, device=device)
    itself = F.pad(itself, (keys - queries, 0))  # (T, S)
    return ((causal & valid[:, None, :]) | itself)[:, None]


def padding_mask(valid: Tensor) -> Tensor:
    """The mask (B, 1, S, S) of an encoder for `valid` (B, S): every token sees all real tokens and itself."""
    itself = torch.eye(valid.shape[1], dtype=torch.bool, device=valid.device)
    return (valid[:, None, :] | itself)[:, None]


@dataclass(frozen=True, kw_only=True, slots=True)
class MaskScope:
    """What masks are made for. `positions` are those of the queries. `knows_causal`: a causal mask of as many
    queries as keys needs no tensor.
    """

    queries: int
    keys: int
    positions: Positions
    key_positions: Positions
    causal: bool
    knows_causal: bool
    device: torch.device

    def window(self, width: int) -> Tensor:
        """(1 or B, 1, T, S): True less than `width` tokens away, on both sides. Padding is not counted."""
        return offsets(self.positions, self.key_positions, device=self.device)[:, None].abs() < width


def layer_mask(
    scope: MaskScope, seen: Tensor | None, *, window: int | None, bias: Tensor | None
) -> AttentionMask:
    """The mask of the layers with this window: `seen` (see `attention_mask`) cut off at the window, plus
    `bias`.
    """
    narrows = window is not None and window < scope.keys
    if seen is None and scope.causal and scope.queries > 1:
        if scope.knows_causal and not narrows and bias is None:
            return AttentionMask(is_causal=True)
        seen = causal_mask(scope.queries, scope.keys, device=scope.device)[None, None]
    if window is not None and narrows:
        near = scope.window(window)
        seen = near if seen is None else seen & near
    if bias is None:
        return AttentionMask(tensor=seen)
    return AttentionMask(tensor=bias if seen is None else bias.masked_fill(~seen, -torch.inf))


class Attention(ResidualLayer):
    """Self-attention of any kind.

    `window` is the number of newest keys that the layer sees, None for all; it chooses the layer's mask.
    `knows_causal` says whether the layer needs no tensor for the causal mask of as many queries as keys.
    """

    window: int | None = None
    knows_causal: bool = False

    @abstractmethod
    def forward(self, x: Tensor, context: AttentionContext) -> LayerOutput:
        """(B, T, C) -> (B, T, C), with auxiliary losses if the layer has any."""


class MultiHead(Attention):
    """Multi-head attention. Subclasses differ in how queries, keys and values are projected."""

    def __init__(self, settings: MultiHeadAttention, config: Architecture, *, layer: int) -> None:
        super().__init__()
        self.layer, self.window = layer, settings.windows[layer % len(settings.windows)]
        self.n_heads, self.head_width = config.n_heads, config.head_width
        self.n_kv_heads = settings.kv_heads(config)
        self.dropout = config.dropout if settings.dropout is None else settings.dropout
        self.kernel = build_kernel(settings, config)
        self.knows_causal = self.kernel.knows_causal
        self._add_projections(settings, config)
        self.out = nn.Linear(settings.query_width(config), config.d_model, bias=settings.out_bias)
        self.qk_norm = (
            None
            if settings.qk_norm is None
            else QueryKeyNorm(settings.qk_norm, settings.cached(config), config)
        )

    def _add_projections(self, settings: MultiHeadAttention, config: Architecture) -> None:
        queries, keys = settings.query_width(config), settings.key_width(config)
        self.q = nn.Linear(config.d_model, queries, bias=settings.qkv_bias)
        self.k = nn.Linear(config.d_model, keys, bias=settings.qkv_bias)
        self.v = nn.Linear(config.d_model, keys, bias=settings.qkv_bias)

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, T, C) to queries (B, H, T, D), keys and values (B, K, T, D)."""
        queries = (*x.shape[:-1], self.n_heads, self.head_width)
        keys = (*x.shape[:-1], self.n_kv_heads, self.head_width)
        q, k, v = self.q(x).view(queries), self.k(x).view(keys), self.v(x).view(keys)
        return q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)

    def forward(self, x: Tensor, context: AttentionContext) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        batch, tokens, _ = x.shape
        q, k, v = self._project(x)  # (B, H, T, D), (B, K, T, D)
        if self.qk_norm is not None:
            q = self.qk_norm.queries(q.transpose(1, 2)).transpose(1, 2)
            k = self.qk_norm.keys(k.transpose(1, 2)).transpose(1, 2)
        if context.rotation is not None:
            q, k = context.rotation.rotate(q), context.rotation.rotate(k)
        if context.cache is not None:
            k, v = context.cache.append(self.layer, k, v)  # (B, K, S, D)
        dropout = self.dropout if self.training else 0.0
        attended = self.kernel(q, k, v, context.masks[self.window], dropout=dropout)  # (B, H, T, D)
        projected: Tensor = self.out(attended.transpose(1, 2).reshape(batch, tokens, -1))
        return projected

    def residual_outputs(self) -> Iterable[Tensor]:
        return (self.out.weight,)


class FusedMultiHead(MultiHead):
    """One product; queries, keys and values are views of its result."""

    def _add_projections(self, settings: MultiHeadAttention, config: Architecture) -> None:
        self.heads = (self.n_heads, self.n_kv_heads, self.n_kv_heads)
        rows = {name: heads * self.head_width for name, heads in zip("qkv", self.heads, strict=True)}
        self.qkv = StackedLinear(config.d_model, rows, bias=settings.qkv_bias)
        self.all_heads = sum(self.heads)

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        batch, tokens, _ = x.shape
        heads = self.qkv(x).view(batch, tokens, self.all_heads, self.head_width).transpose(1, 2)
        q, k, v = heads.split_with_sizes(self.heads, 1)
        return q, k, v


class FusedCopiedMultiHead(FusedMultiHead):
    """One product; each part is copied, so that the kernel reads a head's memory without gaps."""

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = super()._project(x)
        return q.contiguous(), k.contiguous(), v.contiguous()


class CrossAttention(MultiHead):
    """From a decoder to the encoder's states of the source (Vaswani et al. 2017, §3.2.3).

    Computes keys and values of a source once per source if there is a cache to keep them in.
    """

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


class QueryKeyNorm(nn.Module):
    """Normalises queries (B, T, H, D) and keys (B, T, K, D), each with a gain of its own (Dehghani et al.
    2023, §2).
    """

    def __init__(self, settings: QKNorm, cached: CachedToken, config: Architecture) -> None:
        super().__init__()
        self.over_heads = settings.over == "head"
        heads = (1, 1) if self.over_heads else (config.n_heads, cached.heads)
        self.q, self.k = (build_norm(settings.norm, count * config.head_width) for count in heads)

    def queries(self, q: Tensor) -> Tensor:
        """(B, T, H, D) -> (B, T, H, D)."""
        return self._normed(self.q, q)

    def keys(self, k: Tensor) -> Tensor:
        """(B, T, K, D) -> (B, T, K, D)."""
        return self._normed(self.k, k)

    def _normed(self, norm: nn.Module, x: Tensor) -> Tensor:
        normed: Tensor = norm(x) if self.over_heads else norm(x.flatten(-2)).view_as(x)
        return normed


def build_attention(config: Architecture, *, layer: int) -> Attention:
    match config.attention:
        case MultiHeadAttention(projection="separate") as settings:
            return MultiHead(settings, config, layer=layer)
        case MultiHeadAttention(projection="fused") as settings:
            return FusedMultiHead(settings, config, layer=layer)
        case MultiHeadAttention() as settings:
            return FusedCopiedMultiHead(settings, config, layer=layer)


def build_cross_attention(config: Architecture, *, layer: int) -> CrossAttention:
    """Its projections are always separate: queries and keys come from different states."""
    match config.attention:
        case MultiHeadAttention() as settings:
            return CrossAttention(settings, config, layer=layer)
