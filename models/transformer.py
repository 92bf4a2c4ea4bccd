"""The decoder-only transformer, whole.

B batch, T new tokens, S = T plus what a cache holds, C = d_model, V = vocab_size.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from models.attention import AttentionContext, attention_mask
from models.block import Block
from models.cache import Cache, CacheShape, make_cache
from models.config import CacheKind, ModelConfig
from models.norm import build_norm
from models.position import build_position, positions_of


class Transformer(nn.Module):
    """Made by `models.init.build_model`; the bare constructor leaves the parameters to torch's defaults."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.position = build_position(config)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config, layer=layer) for layer in range(config.n_layers))
        # With post-norm the last block ends in a norm already.
        self.final_norm = build_norm(config) if config.norm_placement == "pre" else nn.Identity()
        # A tied output reads the embedding's own parameter: there is no second tensor to come loose.
        untied = None if config.tie_embeddings else nn.Linear(config.d_model, config.vocab_size, bias=False)
        self.unembedding = untied

    @property
    def max_positions(self) -> int:
        return self.config.max_positions

    def forward(self, tokens: Tensor, *, cache: Cache | None = None, valid: Tensor | None = None) -> Tensor:
        """Tokens (B, T) to logits (B, T, V); the cache, if any, grows by T.

        `valid` (B, T) is True at real tokens; padding may stand anywhere and is neither attended to nor
        counted as a position. What comes out at padding is finite and means nothing.
        Raises ValueError beyond max_positions.
        """
        return self._logits(self._hidden(tokens, cache=cache, valid=valid))

    def next_logits(
        self, tokens: Tensor, *, cache: Cache | None = None, valid: Tensor | None = None
    ) -> Tensor:
        """Like `forward`, but only the logits (B, V) after the last token."""
        return self._logits(self._hidden(tokens, cache=cache, valid=valid)[:, -1])

    def new_cache(self, kind: CacheKind, *, batch: int, capacity: int) -> Cache | None:
        """An empty cache for this model's layers, precision and device; None for "none".

        Raises ValueError beyond max_positions, and in training mode, where dropout would be decoded with.
        """
        self._check_positions(capacity)
        if self.training:
            raise ValueError("the model is in training mode; call model.eval() before decoding")
        weight = self.embedding.weight
        shape = CacheShape(
            layers=self.config.n_layers,
            batch=batch,
            heads=self.config.n_heads,
            width=self.config.head_width,
            capacity=capacity,
            dtype=weight.dtype,
            device=weight.device,
        )
        return make_cache(kind, shape)

    def _hidden(self, tokens: Tensor, *, cache: Cache | None, valid: Tensor | None) -> Tensor:
        """(B, T) -> (B, T, C)."""
        batch, queries = tokens.shape
        past = 0
        if cache is not None:
            past = cache.length
            valid = cache.append_valid(valid, batch=batch, tokens=queries)  # (B, S)
        keys = past + queries
        self._check_positions(keys)
        positions = positions_of(past=past, tokens=queries, valid=valid)
        mask = attention_mask(queries, keys, valid=valid, device=tokens.device)
        context = AttentionContext(
            mask=mask,
            is_causal=mask is None and queries > 1,
            rotation=self.position.rotation(positions),
            cache=cache,
        )
        x = self.dropout(self.position.embed(self.embedding(tokens), positions))  # (B, T, C)
        for block in self.blocks:
            x = block(x, context)
        normed: Tensor = self.final_norm(x)
        return normed

    def _logits(self, hidden: Tensor) -> Tensor:
        """(..., C) -> (..., V)."""
        output = self.embedding if self.unembedding is None else self.unembedding
        return F.linear(hidden, output.weight)

    def _check_positions(self, positions: int) -> None:
        if positions > self.config.max_positions:
            raise ValueError(
                f"{positions} positions, but the model has max_positions {self.config.max_positions}"
            )
