"""Models that note something about the calls that decoding makes, and pass all calls on."""

from __future__ import annotations

from torch import Tensor

from harness.models.cache import Cache
from harness.models.config import CacheKind
from harness.models.decoding.base import BoundToSources, Decodable, PassThrough, Scorer
from harness.telemetry.clock import Clock


class CacheWatch(PassThrough):
    """A model that remembers the cache that it made."""

    cache: Cache | None = None

    def new_cache(self, kind: CacheKind, *, batch: int, capacity: int) -> Cache | None:
        self.cache = super().new_cache(kind, batch=batch, capacity=capacity)
        return self.cache


class FirstTokenWatch(PassThrough):
    """A model that notes the time of its first logits, in nanoseconds of the clock."""

    def __init__(self, model: Scorer, clock: Clock) -> None:
        super().__init__(model)
        self._clock = clock
        self.first_ns = 0

    def next_logits(self, tokens: Tensor, *, cache: Cache | None, valid: Tensor | None) -> Tensor:
        logits = self.model.next_logits(tokens, cache=cache, valid=valid)
        self.first_ns = self.first_ns or self._clock.now_ns()
        return logits


class FirstTokenWatchWithSources(FirstTokenWatch):
    """The same for a model that is bound to sources."""

    def keep_sources(self, rows: Tensor) -> Decodable:
        """The model without the watch: rows end after the first logits only."""
        assert isinstance(self.model, BoundToSources)
        return self.model.keep_sources(rows)


def watch_first_token(model: Scorer, clock: Clock) -> FirstTokenWatch:
    watch = FirstTokenWatchWithSources if isinstance(model, BoundToSources) else FirstTokenWatch
    return watch(model, clock)
