"""What a model must offer to be decoded: so little that a model of one's own has it soon."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor

from harness.models.cache import Cache
from harness.models.config import CacheKind


class Decodable(Protocol):
    """All that greedy decoding, beam search and sampling ask for."""

    @property
    def max_positions(self) -> int:
        """Tokens that prompt and continuation may have together."""

    def new_cache(self, kind: CacheKind, *, batch: int, capacity: int) -> Cache | None:
        """An empty cache for `capacity` positions; None for "none", and from a model that has none.

        Without one every step is fed the whole prefix.
        """

    def next_logits(self, tokens: Tensor, *, cache: Cache | None, valid: Tensor | None) -> Tensor:
        """Logits (B, V) after the last of `tokens` (B, T), which the cache's past precedes; beam search
        overwrites them.
        """


class Scorer(Decodable, Protocol):
    """What speculative decoding asks of its target besides."""

    def __call__(self, tokens: Tensor, *, cache: Cache | None, valid: Tensor | None) -> Tensor:
        """Logits (B, T, V) after each of `tokens` (B, T), which the cache's past precedes."""


@runtime_checkable
class BoundToSources(Protocol):
    """Offered besides by a model whose rows have sources: sentences to translate.

    Its tokens may have n times as many rows as it has sources: beams, n neighbours to each source.
    """

    def keep_sources(self, rows: Tensor) -> Decodable:
        """The same model for those of its sources (B',), in that order; caches are told apart from it."""


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
