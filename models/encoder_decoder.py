"""The encoder-decoder transformer (Vaswani et al. 2017, §3.1).

B batch, S source tokens, T target tokens, C = d_model, V = vocab_size of the target.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from harness.models.attention import Memory
from harness.models.attention_kernels import EVERYTHING, AttentionMask
from harness.models.cache import Cache, make_cache
from harness.models.config import CacheKind, EncoderDecoderConfig
from harness.models.embedding import Output, TokenEmbedding
from harness.models.layer import Losses
from harness.models.transformer import Stack

# The number under which a cache keeps the mask of the sources, beside the keys and values of the layers.
SOURCE_MASK = -1


class EncoderDecoder(Output):
    """Made by `harness.models.init.build_model`; the constructor alone leaves the parameters at torch's
    defaults.
    """

    def __init__(self, config: EncoderDecoderConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = TokenEmbedding(config, config.vocab_size)
        source_vocab_size = config.source_vocab_size
        self.source_embedding = (
            None if source_vocab_size is None else TokenEmbedding(config, source_vocab_size)
        )
        self.encoder = Stack(config, n_layers=config.n_encoder_layers, role="encoder")
        self.decoder = Stack(config, n_layers=config.n_decoder_layers, role="decoder with a source")
        self.add_output(config, config.vocab_size)

    @property
    def stacks(self) -> tuple[Stack, ...]:
        return self.encoder, self.decoder

    def forward(
        self,
        source: Tensor,
        target: Tensor,
        *,
        source_valid: Tensor | None = None,
        target_valid: Tensor | None = None,
    ) -> Tensor:
        """Source (B, S) and target (B, T) to logits (B, T, V) of the next token of the target.

        Both masks are True at real tokens. Padding may be anywhere, but every source needs one real token.
        The logits at padding are finite and have no meaning. Raises ValueError if there are more than
        max_positions.
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
        auxiliary: Losses | None = None,
    ) -> Tensor:
        """The states (B, T, C) that `output` turns into logits.

        The auxiliary losses of the layers are added to `auxiliary`, if it is given.
        """
        states = self.encode(source, source_valid, auxiliary=auxiliary)  # (B, S, C)
        memory = Memory(states=states, mask=source_mask(source_valid))
        return self.decode(target, memory, valid=target_valid, auxiliary=auxiliary)

    def encode(
        self, source: Tensor, source_valid: Tensor | None = None, *, auxiliary: Losses | None = None
    ) -> Tensor:
        """(B, S) -> (B, S, C)."""
        embedding = self.embedding if self.source_embedding is None else self.source_embedding
        embedded, scale = embedding(source), embedding.scale
        return self.encoder.run(embedded, scale=scale, valid=source_valid, auxiliary=auxiliary)

    def decode(
        self,
        target: Tensor,
        memory: Memory,
        *,
        cache: Cache | None = None,
        valid: Tensor | None = None,
        auxiliary: Losses | None = None,
    ) -> Tensor:
        """Target (B, T), which follows the cached positions, to states (B, T, C)."""
        embedded, scale = self.embedding(target), self.embedding.scale
        return self.decoder.run(
            embedded, scale=scale, cache=cache, valid=valid, memory=memory, auxiliary=auxiliary
        )

    def bind(self, source: Tensor, source_valid: Tensor | None = None) -> BoundDecoder:
        """The decoder for these sources (B, S), encoded once, as `harness.models.decoding.base.Decodable`.

        Raises ValueError in training mode, where dropout would disturb decoding, and if a source consists of
        padding only.
        """
        if self.training:
            raise ValueError("the model is in training mode; call model.eval() before decoding")
        if source_valid is not None and not bool(source_valid.any(dim=1).all()):
            raise ValueError("a source consists of padding only; give every row at least one real token")
        with torch.no_grad():
            memory = Memory(states=self.encode(source, source_valid), mask=source_mask(source_valid))
        return BoundDecoder(model=self, memory=memory)


def source_mask(valid: Tensor | None) -> AttentionMask:
    """(B, S) to a mask (B, 1, 1, S) for every token of the target."""
    return EVERYTHING if valid is None else AttentionMask(tensor=valid[:, None, None, :])


@dataclass(frozen=True, kw_only=True, slots=True)
class BoundDecoder:
    """A decoder with its sources.

    The number of rows may be a multiple of the number of sources: neighbours then share one source (beams).
    """

    model: EncoderDecoder
    memory: Memory

    @property
    def max_positions(self) -> int:
        return self.model.decoder.max_positions

    def new_cache(self, kind: CacheKind, *, batch: int, capacity: int) -> Cache | None:
        """A cache that holds the keys and values of the sources and no token; None for "none".

        Raises ValueError if the capacity is beyond max_positions, and if the number of rows is not a multiple
        of the number of sources.
        """
        decoder = self.model.decoder
        decoder.check_positions(capacity)
        assert self.memory.states is not None
        sources = self.memory.states.shape[0]
        if batch % sources:
            raise ValueError(
                f"{batch} rows to decode are not a multiple of the {sources} sources; give every source "
                "the same number of rows"
            )
        like = self.memory.states
        shape = decoder.cache_shape(self.model.config, batch=batch, capacity=capacity, like=like)
        cache = make_cache(kind, shape)
        if cache is not None:
            if self.memory.mask.tensor is not None:
                # Kept beside the keys that it marks, so that it follows them when rows are dropped.
                cache.keep_cross(SOURCE_MASK, self.memory.mask.tensor, self.memory.mask.tensor)
            for layer, block in enumerate(decoder.typed_blocks):
                assert block.cross_attention is not None
                cache.keep_cross(layer, *block.cross_attention.project_source(self.memory.states))
        return cache

    def next_logits(self, tokens: Tensor, *, cache: Cache | None, valid: Tensor | None) -> Tensor:
        """Tokens (B, T) to the logits (B, V) after the last token; see `Transformer.forward` for `valid`."""
        return self.model.output.logits(self._hidden(tokens, cache, valid).select(1, -1))

    def __call__(self, tokens: Tensor, *, cache: Cache | None, valid: Tensor | None) -> Tensor:
        """Like `next_logits`, but the logits (B, T, V) after every token."""
        return self.model.output.logits(self._hidden(tokens, cache, valid))

    def keep_sources(self, rows: Tensor) -> BoundDecoder:
        """The same decoder for some sources (B',), as `harness.models.decoding.base.BoundToSources`."""
        states, mask = self.memory.states, self.memory.mask.tensor
        assert states is not None
        rows_mask = EVERYTHING if mask is None else AttentionMask(tensor=mask[rows])
        return replace(self, memory=Memory(states=states[rows], mask=rows_mask))

    def _hidden(self, tokens: Tensor, cache: Cache | None, valid: Tensor | None) -> Tensor:
        memory = self.memory
        cached = None if cache is None else cache.cross(SOURCE_MASK)
        if cached is not None:
            memory = Memory(states=memory.states, mask=AttentionMask(tensor=cached[0]))
        return self.model.decode(tokens, memory, cache=cache, valid=valid)
