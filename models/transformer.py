"""The decoder-only transformer, whole; its stack of blocks serves encoder-decoders too.

B batch, T new tokens, S = T plus what a cache holds, C = d_model, V = vocab_size.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from harness.models.attention import (
    AttentionContext,
    MaskScope,
    Memory,
    attention_mask,
    layer_mask,
    padding_mask,
)
from harness.models.attention_kernels import EVERYTHING, AttentionMask
from harness.models.block import Block
from harness.models.cache import Cache, CacheShape, make_cache
from harness.models.config import Architecture, CacheKind, ModelConfig
from harness.models.dropout import Dropout
from harness.models.embedding import Output, TokenEmbedding
from harness.models.norm import build_norm
from harness.models.position.absolute import Positions, build_position, positions_of

Role = Literal["encoder", "decoder", "decoder with a source"]


class Stack(nn.Module):
    """Positions, blocks and norms: embedded tokens in, hidden states out.

    An encoder's tokens look both ways.
    """

    def __init__(self, config: Architecture, *, n_layers: int, role: Role) -> None:
        super().__init__()
        self.causal, self.max_positions = role != "encoder", config.max_positions
        self.n_layers, self.attends_to_source = n_layers, role == "decoder with a source"
        self.position = build_position(config, causal=self.causal)
        self.embedding_norm = (
            None if config.embedding_norm is None else build_norm(config.embedding_norm, config.d_model)
        )
        self.dropout = Dropout(config.dropout)
        self.blocks = nn.ModuleList(
            Block(config, layer=layer, attends_to_source=self.attends_to_source) for layer in range(n_layers)
        )
        self.final_norm = build_norm(config.norm, config.d_model) if config.ends_in_norm else nn.Identity()
        self.windows = tuple(dict.fromkeys(block.attention.window for block in self._blocks()))
        # Where neither a window nor a bias ever hides or weighs anything.
        plain = self.windows == (None,) and not self.position.adds_bias
        self.open_masks: dict[int | None, AttentionMask] | None = {None: EVERYTHING} if plain else None
        self.knows_causal = self._blocks()[0].attention.kernel.knows_causal

    def run(
        self,
        embedded: Tensor,
        *,
        scale: float,
        cache: Cache | None = None,
        valid: Tensor | None = None,
        memory: Memory | None = None,
    ) -> Tensor:
        """Embedded tokens (B, T, C), still to be scaled, to hidden states (B, T, C); the cache, if any, grows
        by T.

        Raises ValueError beyond max_positions.
        """
        batch, queries, _ = embedded.shape
        past = 0
        if cache is not None:
            past = cache.length
            valid = cache.append_valid(valid, batch=batch, tokens=queries)  # (B, S)
        self.check_positions(past + queries)
        positions = positions_of(past=past, tokens=queries, valid=valid)
        context = AttentionContext(
            masks=self._masks(positions, past=past, valid=valid, like=embedded),
            rotation=self.position.rotation(positions),
            cache=cache,
            memory=memory,
        )
        x = self.position.embed(embedded, positions, scale=scale)
        if self.embedding_norm is not None:
            x = self.embedding_norm(x)
        if self.training:
            x = self.dropout(x)
        for block in self.blocks:
            x = block(x, context)
        normed: Tensor = self.final_norm(x)
        return normed

    def check_positions(self, positions: int) -> None:
        """Raises ValueError beyond max_positions."""
        if positions > self.max_positions:
            raise ValueError(f"{positions} positions, but the model has max_positions {self.max_positions}")

    def cache_shape(self, config: Architecture, *, batch: int, capacity: int, like: Tensor) -> CacheShape:
        """What a cache for these blocks must hold, in the precision and on the device of a tensor of the
        model.
        """
        return CacheShape(
            layers=self.n_layers,
            batch=batch,
            heads=config.n_kv_heads,
            width=config.head_width,
            capacity=capacity,
            dtype=like.dtype,
            device=like.device,
        )

    def _masks(
        self, positions: Positions, *, past: int, valid: Tensor | None, like: Tensor
    ) -> dict[int | None, AttentionMask]:
        queries = like.shape[1]
        if queries == 1 and valid is None and self.open_masks is not None:
            return self.open_masks  # the newest token of unpadded rows sees everything
        keys = past + queries
        if self.causal:
            seen = attention_mask(queries, keys, valid=valid, device=like.device)
        else:
            seen = None if valid is None else padding_mask(valid)
        bias = None
        if self.position.adds_bias:
            all_positions = positions_of(past=0, tokens=keys, valid=valid)
            bias = self.position.bias(positions, all_positions)  # (1 or B, H, T, S)
        scope = MaskScope(
            queries=queries, keys=keys, causal=self.causal, knows_causal=self.knows_causal, device=like.device
        )
        return {window: layer_mask(scope, seen, window=window, bias=bias) for window in self.windows}

    def _blocks(self) -> list[Block]:
        return [block for block in self.blocks if isinstance(block, Block)]


class Transformer(Stack, Output):
    """Made by `harness.models.init.build_model`; the bare constructor leaves the parameters to torch's
    defaults.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config, n_layers=config.n_layers, role="decoder")
        self.config = config
        self.embedding = TokenEmbedding(config, config.vocab_size)
        self.add_output(config, config.vocab_size)

    def forward(self, tokens: Tensor, *, cache: Cache | None = None, valid: Tensor | None = None) -> Tensor:
        """Tokens (B, T) to logits (B, T, V); the cache, if any, grows by T.

        `valid` (B, T) is True at real tokens; padding may stand anywhere and is neither attended to nor
        counted as a position. What comes out at padding is finite and means nothing.
        Raises ValueError beyond max_positions.
        """
        return self.output.logits(self.hidden(tokens, cache=cache, valid=valid))

    def next_logits(
        self, tokens: Tensor, *, cache: Cache | None = None, valid: Tensor | None = None
    ) -> Tensor:
        """Like `forward`, but only the logits (B, V) after the last token."""
        return self.output.logits(self.hidden(tokens, cache=cache, valid=valid).select(1, -1))

    def hidden(self, tokens: Tensor, *, cache: Cache | None = None, valid: Tensor | None = None) -> Tensor:
        """Tokens (B, T) to the states (B, T, C) that `output` turns into logits."""
        return self.run(self.embedding(tokens), scale=self.embedding.scale, cache=cache, valid=valid)

    def new_cache(self, kind: CacheKind, *, batch: int, capacity: int) -> Cache | None:
        """An empty cache for this model's layers, precision and device; None for "none".

        Raises ValueError beyond max_positions, and in training mode, where dropout would be decoded with.
        """
        self.check_positions(capacity)
        if self.training:
            raise ValueError("the model is in training mode; call model.eval() before decoding")
        like = self.embedding.weight
        return make_cache(kind, self.cache_shape(self.config, batch=batch, capacity=capacity, like=like))
