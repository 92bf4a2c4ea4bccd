"""What a model must offer to be decoded. The protocols are small, so that any model can implement them."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor

from harness.models.cache import Cache
from harness.models.config import CacheKind


class Decodable(Protocol):
    """All that greedy decoding, beam search and sampling need."""

    @property
    def max_positions(self) -> int:
        """The largest number of tokens of prompt and continuation together."""

    def new_cache(self, kind: CacheKind, *, batch: int, capacity: int) -> Cache | None:
        """An empty cache for `capacity` positions; None for "none", and from a model without caches.

        Without a cache every step is fed all tokens so far.
        """

    def next_logits(self, tokens: Tensor, *, cache: Cache | None, valid: Tensor | None) -> Tensor:
        """Logits (B, V) after the last of `tokens` (B, T), which follow the cached positions.

        Beam search overwrites the logits.
        """


class Scorer(Decodable, Protocol):
    """What speculative decoding needs of its target model in addition."""

    def __call__(self, tokens: Tensor, *, cache: Cache | None, valid: Tensor | None) -> Tensor:
        """Logits (B, T, V) after each of `tokens` (B, T), which follow the cached positions."""


@runtime_checkable
class BoundToSources(Protocol):
    """What a model offers in addition if its rows have sources: sentences to translate.

    Tokens may have n times as many rows as there are sources: n neighbouring rows (beams) per source.
    """

    def keep_sources(self, rows: Tensor) -> Decodable:
        """The same model for only those of its sources (B',), in that order. Caches change separately."""


class PassThrough:
    """A model that passes every call on to another one. Subclasses change or watch single calls."""

    def __init__(self, model: Scorer) -> None:
        self.model = model

    @property
    def max_positions(self) -> int:
        return self.model.max_positions

    def new_cache(self, kind: CacheKind, *, batch: int, capacity: int) -> Cache | None:
        return self.model.new_cache(kind, batch=batch, capacity=capacity)

    def next_logits(self, tokens: Tensor, *, cache: Cache | None, valid: Tensor | None) -> Tensor:
        return self.model.next_logits(tokens, cache=cache, valid=valid)

    def __call__(self, tokens: Tensor, *, cache: Cache | None, valid: Tensor | None) -> Tensor:
        return self.model(tokens, cache=cache, valid=valid)
