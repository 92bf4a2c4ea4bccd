"""The encoder-decoder transformer (Vaswani et al. 2017, §3.1).

B batch, S source tokens, T target tokens, C = d_model, V = vocab_size of the target.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from harness.models.attention import Memory
from harness.models.attention_kernels import EVERYTHING, AttentionMask
from harness.models.block import Block
from harness.models.cache import Cache, make_cache
from harness.models.config import CacheKind, EncoderDecoderConfig
from harness.models.embedding import Output, TokenEmbedding
from harness.models.transformer import Stack

# Where a cache keeps the mask of the sources, among the layers' keys and values.
SOURCE_MASK = -1


class EncoderDecoder(Output):
    """Made by `harness.models.init.build_model`; the bare constructor leaves the parameters to torch's
    defaults.
    """

    def __init__(self, config: EncoderDecoderConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = TokenEmbedding(config, config.vocab_size)
        own = config.source_vocab_size
        self.source_embedding = None if own is None else TokenEmbedding(config, own)
        self.encoder = Stack(config, n_layers=config.n_encoder_layers, role="encoder")
        self.decoder = Stack(config, n_layers=config.n_decoder_layers, role="decoder with a source")
        self.add_output(config, config.vocab_size)

    def forward(
        self,
        source: Tensor,
        target: Tensor,
        *,
        source_valid: Tensor | None = None,
        target_valid: Tensor | None = None,
    ) -> Tensor:
        """Source (B, S) and target (B, T) to logits (B, T, V) of the token after each of the target's.

        Both masks are True at real tokens; padding may stand anywhere, but every source needs one real token.
        What comes out at padding is finite and means nothing. Raises ValueError beyond max_positions.
        """
        hidden = self.hidden(source, target, source_valid=source_valid, target_valid=target_valid)
        return self.output.logits(hidden)

    def hidden(
        self,
        source: Tensor,
        target: Tensor,
        *,
        source_valid: Tensor | None = None,
        target_valid: Tensor | None = None,
    ) -> Tensor:
        """The states (B, T, C) that `output` turns into logits."""
        memory = Memory(states=self.encode(source, source_valid), mask=source_mask(source_valid))
        return self.decode(target, memory, valid=target_valid)

    def encode(self, source: Tensor, source_valid: Tensor | None = None) -> Tensor:
        """(B, S) -> (B, S, C)."""
        embedding = self.embedding if self.source_embedding is None else self.source_embedding
        return self.encoder.run(embedding(source), scale=embedding.scale, valid=source_valid)

    def decode(
        self, target: Tensor, memory: Memory, *, cache: Cache | None = None, valid: Tensor | None = None
    ) -> Tensor:
        """Target (B, T), after what the cache holds, to states (B, T, C)."""
        embedded = self.embedding(target)
        return self.decoder.run(embedded, scale=self.embedding.scale, cache=cache, valid=valid, memory=memory)

    def bind(self, source: Tensor, source_valid: Tensor | None = None) -> BoundDecoder:
        """The decoder for these sources (B, S), encoded once, as `harness.models.decoding.base.Decodable`.

        Raises ValueError in training mode, where dropout would be decoded with, and for a source of nothing
        but padding.
        """
        if self.training:
            raise ValueError("the model is in training mode; call model.eval() before decoding")
        if source_valid is not None and not bool(source_valid.any(dim=1).all()):
            raise ValueError("a source is nothing but padding; give every row at least one real token")
        with torch.no_grad():
            memory = Memory(states=self.encode(source, source_valid), mask=source_mask(source_valid))
        return BoundDecoder(model=self, memory=memory)


def source_mask(valid: Tensor | None) -> AttentionMask:
    """(B, S) to a mask (B, 1, 1, S) for every token of the target."""
    return EVERYTHING if valid is None else AttentionMask(tensor=valid[:, None, None, :])


@dataclass(frozen=True, kw_only=True, slots=True)
class BoundDecoder:
    """A decoder with its sources.

    Rows of tokens may be a multiple of the sources': neighbours share one (beams).
    """

    model: EncoderDecoder
    memory: Memory

    @property
    def max_positions(self) -> int:
        return self.model.decoder.max_positions

    def new_cache(self, kind: CacheKind, *, batch: int, capacity: int) -> Cache | None:
        """A cache without a token that holds keys and values of the sources; None for "none".

        Raises ValueError beyond max_positions, and for rows that are no multiple of the sources'.
        """
        decoder = self.model.decoder
        decoder.check_positions(capacity)
        assert self.memory.states is not None
        sources = self.memory.states.shape[0]
        if batch % sources:
            raise ValueError(f"{batch} rows to decode, which is no multiple of the {sources} sources")
        like = self.memory.states
        shape = decoder.cache_shape(self.model.config, batch=batch, capacity=capacity, like=like)
        cache = make_cache(kind, shape)
        if cache is not None:
            if self.memory.mask.tensor is not None:
                # Beside the keys that it speaks of, so that it follows them when rows are dropped.
                cache.keep_cross(SOURCE_MASK, self.memory.mask.tensor, self.memory.mask.tensor)
            for layer, block in enumerate(decoder.blocks):
                assert isinstance(block, Block)
                assert block.cross_attention is not None
                cache.keep_cross(layer, *block.cross_attention.project_source(self.memory.states))
        return cache

    def next_logits(self, tokens: Tensor, *, cache: Cache | None, valid: Tensor | None) -> Tensor:
        """Tokens (B, T) to the logits (B, V) after the last; see `Transformer.forward` for `valid`."""
        return self.model.output.logits(self._hidden(tokens, cache, valid).select(1, -1))

    def __call__(self, tokens: Tensor, *, cache: Cache | None, valid: Tensor | None) -> Tensor:
        """Like `next_logits`, but the logits (B, T, V) after every token."""
        return self.model.output.logits(self._hidden(tokens, cache, valid))

    def keep_sources(self, rows: Tensor) -> BoundDecoder:
        """The same decoder for those of its sources (B',), as `harness.models.decoding.base.BoundToSources`."""
        states, mask = self.memory.states, self.memory.mask.tensor
        assert states is not None
        kept = EVERYTHING if mask is None else AttentionMask(tensor=mask[rows])
        return replace(self, memory=Memory(states=states[rows], mask=kept))

    def _hidden(self, tokens: Tensor, cache: Cache | None, valid: Tensor | None) -> Tensor:
        memory = self.memory
        kept = None if cache is None else cache.cross(SOURCE_MASK)
        if kept is not None:
            memory = Memory(states=memory.states, mask=AttentionMask(tensor=kept[0]))
        return self.model.decode(tokens, memory, cache=cache, valid=valid)
