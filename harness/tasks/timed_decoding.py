"""Decoding batch by batch on the clock: what came out of each row, and how long the batches took."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from harness.models.decoding.base import BoundToSources, Scorer
from harness.models.decoding.config import Decoding, Sampling, Speculative
from harness.models.decoding.decode import decode
from harness.models.decoding.speculative import Pair, Speculated, speculative

if TYPE_CHECKING:
    from torch import Tensor

    from harness.models.cache import Cache
    from harness.models.config import CacheKind
    from harness.telemetry.clock import Clock


class Prompted(NamedTuple):
    """A batch, ready to be decoded: the model (with its sources, if any), and the prompts (B, P) on its
    device.
    """

    model: Scorer
    draft: Scorer | None
    prompt: Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class How:
    """`end` is the token that ends a row, None where rows are as long as they may be; `seed` the trial's."""

    decoding: Decoding
    seed: int
    new_tokens: int
    cache: CacheKind
    end: int | None

    def decoding_of(self, places: Sequence[int]) -> Decoding:
        """With random numbers for each text of its own, whichever batch it is in, and others for another
        seed.
        """
        streams = {"streams": tuple(f"{self.seed}/{place}" for place in places)}
        match self.decoding:
            case Sampling() as sampling:
                return sampling.model_copy(update=streams)
            case Speculative(choose=Sampling() as sampling) as drafted:
                return drafted.model_copy(update={"choose": sampling.model_copy(update=streams)})
        return self.decoding


@dataclass(kw_only=True, slots=True)
class Written:
    """All batches decoded once.

    `rows` are in the order in which the texts came, without their ends; seconds are of each batch.
    """

    how: How
    rows: list[list[int]]
    seconds: list[float] = field(default_factory=list)
    first_token_seconds: list[float] = field(default_factory=list)
    drafted: int = 0
    accepted: int = 0

    @property
    def ended_rows(self) -> list[list[int]]:
        """The rows with the token that ended them: a model that says nothing has still said that."""
        end, most = self.how.end, self.how.new_tokens
        return self.rows if end is None else [row if len(row) == most else [*row, end] for row in self.rows]

    @property
    def new_tokens(self) -> int:
        return sum(map(len, self.ended_rows))

    @property
    def acceptance_rate(self) -> float:
        return self.accepted / self.drafted if self.drafted else math.nan


def write(
    batches: Sequence[Sequence[int]], prompted: Callable[[Sequence[int]], Prompted], how: How, clock: Clock
) -> Written:
    """Decode every batch of places; encoding its sources is part of its time, and of the time to its first
    token.
    """
    found = Written(how=how, rows=[[] for batch in batches for _ in batch])
    for places in batches:
        start = clock.now_ns()
        model, draft, prompt = prompted(places)
        watch = _watched(model, clock)
        rows = _decode(watch, draft, prompt, how.decoding_of(places), found)
        end = clock.now_ns()
        found.seconds.append((end - start) / 1e9)
        found.first_token_seconds.append((watch.first_ns - start) / 1e9)
        for place, row in zip(places, rows, strict=True):
            found.rows[place] = row
    return found


def _decode(
    model: _Watch, draft: Scorer | None, prompt: Tensor, decoding: Decoding, found: Written
) -> list[list[int]]:
    how = found.how
    settings = {"new_tokens": how.new_tokens, "cache": how.cache, "end": how.end}
    if not isinstance(decoding, Speculative):
        return decode(model, prompt, decoding, **settings)  # type: ignore[arg-type]
    assert draft is not None
    made: Speculated = speculative(Pair(model, draft), prompt, decoding, **settings)  # type: ignore[arg-type]
    found.drafted += made.drafted
    found.accepted += made.accepted
    rows = made.tokens.tolist()
    return [row[: row.index(how.end)] if how.end in row else row for row in rows]


def _watched(model: Scorer, clock: Clock) -> _Watch:
    return _BoundWatch(model, clock) if isinstance(model, BoundToSources) else _Watch(model, clock)


class _Watch:
    """A model that notes when its first logits were there; rows that end never bring that time back."""

    def __init__(self, model: Scorer, clock: Clock) -> None:
        self._model, self._clock = model, clock
        self.first_ns = 0

    @property
    def max_positions(self) -> int:
        return self._model.max_positions

    def new_cache(self, kind: CacheKind, *, batch: int, capacity: int) -> Cache | None:
        return self._model.new_cache(kind, batch=batch, capacity=capacity)

    def next_logits(self, tokens: Tensor, *, cache: Cache | None, valid: Tensor | None) -> Tensor:
        logits = self._model.next_logits(tokens, cache=cache, valid=valid)
        self.first_ns = self.first_ns or self._clock.now_ns()
        return logits

    def __call__(self, tokens: Tensor, *, cache: Cache | None, valid: Tensor | None) -> Tensor:
        return self._model(tokens, cache=cache, valid=valid)


class _BoundWatch(_Watch):
    def keep_sources(self, rows: Tensor) -> Scorer:
        """The model alone: the first logits were seen by then."""
        assert isinstance(self._model, BoundToSources)
        return self._model.keep_sources(rows)  # type: ignore[return-value]
