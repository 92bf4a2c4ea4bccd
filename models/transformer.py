"""The decoder-only transformer, and the stack of blocks that encoder-decoders use too.

B batch, T new tokens, S = T plus the cached positions, C = d_model, V = vocab_size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

import torch
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
from harness.models.layer import Losses, add_losses
from harness.models.norm import build_norm
from harness.models.position import Positions, build_position, positions_of

Role = Literal["encoder", "decoder", "decoder with a source"]


class Stack(nn.Module):
    """Positions, blocks and norms: from embedded tokens to hidden states.

    Tokens of an encoder attend to earlier and later tokens.
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
        attentions = [block.attention for block in self.typed_blocks]
        self.windows = tuple(dict.fromkeys(attention.window for attention in attentions))
        self.knows_causal = all(attention.knows_causal for attention in attentions)
        # Without windows and biases the newest token of unpadded rows sees everything.
        unrestricted = self.windows == (None,) and not self.position.adds_bias
        self.open_masks: dict[int | None, AttentionMask] | None = {None: EVERYTHING} if unrestricted else None

    @property
    def typed_blocks(self) -> Sequence[Block]:
        return cast("Sequence[Block]", self.blocks)

    def run(
        self,
        embedded: Tensor,
        *,
        scale: float,
        cache: Cache | None = None,
        valid: Tensor | None = None,
        memory: Memory | None = None,
        auxiliary: Losses | None = None,
    ) -> Tensor:
        """Embedded tokens (B, T, C), which are not scaled yet, to hidden states (B, T, C).

        A cache grows by T. The auxiliary losses of all layers are added to `auxiliary`, if it is given.
        Raises ValueError if there are more than max_positions.
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
        x = self.enter(embedded, positions, scale=scale)
        for block in self.blocks:
            x = block(x, context)
            if isinstance(x, tuple):
                x, losses = x
                if auxiliary is not None:
                    add_losses(auxiliary, losses)
        normed: Tensor = self.final_norm(x)
        return normed

    def enter(self, embedded: Tensor, positions: Positions, *, scale: float) -> Tensor:
        """What the first block reads (B, T, C): embedded tokens, scaled, with their positions."""
        x = _positioned(embedded, self.position.vectors(positions), scale=scale)
        if self.embedding_norm is not None:
            x = self.embedding_norm(x)
        return self.dropout(x) if self.training else x

    def plain_context(self, x: Tensor) -> tuple[AttentionContext, Positions]:
        """What the blocks share if there is no cache, no padding and no source, for states or tokens x
        (B, T, …), and their positions.
        """
        positions = positions_of(past=0, tokens=x.shape[1], valid=None)
        masks = self._masks(positions, past=0, valid=None, like=x)
        rotation = self.position.rotation(positions)
        return AttentionContext(masks=masks, rotation=rotation, cache=None), positions

    def check_positions(self, positions: int) -> None:
        """Raises ValueError if there are more than max_positions."""
        if positions > self.max_positions:
            raise ValueError(f"{positions} positions, but the model has max_positions {self.max_positions}")

    def cache_shape(self, config: Architecture, *, batch: int, capacity: int, like: Tensor) -> CacheShape:
        """The shape of a cache for these blocks, in the precision and on the device of the tensor `like`."""
        return CacheShape(
            layers=self.n_layers,
            batch=batch,
            token=config.attention.cached(config),
            capacity=capacity,
            dtype=like.dtype,
            device=like.device,
        )

    def _masks(
        self, positions: Positions, *, past: int, valid: Tensor | None, like: Tensor
    ) -> dict[int | None, AttentionMask]:
        queries = like.shape[1]
        if queries == 1 and valid is None and self.open_masks is not None:
            return self.open_masks
        keys = past + queries
        if self.causal:
            seen = attention_mask(queries, keys, valid=valid, device=like.device)
        else:
            seen = None if valid is None else padding_mask(valid)
        key_positions: Positions = slice(0, keys)
        if self.position.adds_bias or self.windows != (None,):
            key_positions = positions_of(past=0, tokens=keys, valid=valid)
        bias = self.position.bias(positions, key_positions) if self.position.adds_bias else None
        scope = MaskScope(
            queries=queries,
            keys=keys,
            positions=positions,
            key_positions=key_positions,
            causal=self.causal,
            knows_causal=self.knows_causal,
            device=like.device,
        )
        return {window: layer_mask(scope, seen, window=window, bias=bias) for window in self.windows}


def _positioned(embedded: Tensor, added: Tensor | None, *, scale: float) -> Tensor:
    """scale · embedded (B, T, C), plus the vectors of the positions if there are any, in one operation."""
    if added is not None:
        return torch.add(added, embedded, alpha=scale)
    return embedded if scale == 1.0 else embedded * scale


class Transformer(Stack, Output):
    """Made by `harness.models.init.build_model`; the constructor alone leaves the parameters at torch's
    defaults.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config, n_layers=config.n_layers, role="decoder")
        self.config = config
        self.embedding = TokenEmbedding(config, config.vocab_size)
        self.add_output(config, config.vocab_size)

    @property
    def stacks(self) -> tuple[Stack, ...]:
        return (self,)

    def forward(self, tokens: Tensor, *, cache: Cache | None = None, valid: Tensor | None = None) -> Tensor:
        """Tokens (B, T) to logits (B, T, V). A cache grows by T.

        `valid` (B, T) is True at real tokens. Padding may be anywhere; it is neither attended to nor counted
        as a position or in a window. The logits at padding are finite and have no meaning.
        Raises ValueError if there are more columns than max_positions.
        """
        return self.output.logits(self.hidden(tokens, cache=cache, valid=valid))

    def next_logits(
        self, tokens: Tensor, *, cache: Cache | None = None, valid: Tensor | None = None
    ) -> Tensor:
        """Like `forward`, but only the logits (B, V) after the last token."""
        return self.output.logits(self.hidden(tokens, cache=cache, valid=valid).select(1, -1))

    def hidden(
        self,
        tokens: Tensor,
        *,
        cache: Cache | None = None,
        valid: Tensor | None = None,
        auxiliary: Losses | None = None,
    ) -> Tensor:
        """Tokens (B, T) to the states (B, T, C) that `output` turns into logits.

        The auxiliary losses of the layers are added to `auxiliary`, if it is given.
        """
        embedded, scale = self.embedding(tokens), self.embedding.scale
        return self.run(embedded, scale=scale, cache=cache, valid=valid, auxiliary=auxiliary)

    def new_cache(self, kind: CacheKind, *, batch: int, capacity: int) -> Cache | None:
        """An empty cache for this model's layers, precision and device; None for "none".

        Raises ValueError if the capacity is beyond max_positions, and in training mode, where dropout would
        disturb decoding.
        """
        self.check_positions(capacity)
        if self.training:
            raise ValueError("the model is in training mode; call model.eval() before decoding")
        like = self.embedding.weight
        return make_cache(kind, self.cache_shape(self.config, batch=batch, capacity=capacity, like=like))
