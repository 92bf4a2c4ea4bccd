"""Decoding batch by batch on the clock: the tokens of each text, and how long each batch took. Watched models
note something about the calls that decoding makes, and pass all calls on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from torch import Tensor

from harness.models.config import CacheKind
from harness.models.decoding.base import (
    BoundToSources,
    Decodable,
    DecodingCache,
    PassThrough,
    Scorer,
)
from harness.models.decoding.config import Decoding, Sampling, Speculative
from harness.models.decoding.decode import decode
from harness.models.decoding.speculative import TargetAndDraft, speculative
from harness.telemetry.clock import Clock


class CacheWatch(PassThrough):
    """A model that remembers the cache that it made."""

    cache: DecodingCache | None = None

    def new_cache(self, kind: CacheKind, *, batch: int, capacity: int) -> DecodingCache | None:
        self.cache = super().new_cache(kind, batch=batch, capacity=capacity)
        return self.cache


class FirstTokenWatch(PassThrough):
    """A model that notes the time of its first logits, in nanoseconds of the clock."""

    def __init__(self, model: Scorer, clock: Clock) -> None:
        super().__init__(model)
        self._clock = clock
        self.first_ns = 0

    def next_logits(self, tokens: Tensor, *, cache: Any, valid: Tensor | None) -> Tensor:
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


class PromptedModel(NamedTuple):
    """A batch that is ready to be decoded: the model (bound to its sources, if it has any), the draft model,
    and the prompts (B, P) on their device.
    """

    model: Scorer
    draft: Scorer | None
    prompt: Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class DecodingSettings:
    """How all batches of a trial are decoded.

    `seed` is the trial's; `end` is the token that ends a text, or None if all texts have the greatest length.
    """

    decoding: Decoding
    seed: int
    new_tokens: int
    cache: CacheKind
    end: int | None

    def decoding_of(self, indices: Sequence[int]) -> Decoding:
        """The decoding with random numbers that depend on the seed and on each text's index, and not on the
        batch that the text is in.
        """
        streams = {"streams": tuple(f"{self.seed}/{index}" for index in indices)}
        match self.decoding:
            case Sampling() as sampling:
                return sampling.model_copy(update=streams)
            case Speculative(choose=Sampling() as sampling) as drafted:
                return drafted.model_copy(update={"choose": sampling.model_copy(update=streams)})
        return self.decoding


@dataclass(kw_only=True, slots=True)
class DecodedTexts:
    """All texts decoded once.

    `rows` has the tokens of each text without its end, in the order of the texts. The seconds are those of
    each batch.
    """

    settings: DecodingSettings
    rows: list[list[int]]
    seconds: list[float] = field(default_factory=list)
    first_token_seconds: list[float] = field(default_factory=list)
    drafted: int = 0
    accepted: int = 0

    @property
    def ended_rows(self) -> list[list[int]]:
        """The rows with their end tokens: the model produced those too."""
        end, most = self.settings.end, self.settings.new_tokens
        return self.rows if end is None else [row if len(row) == most else [*row, end] for row in self.rows]

    @property
    def new_tokens(self) -> int:
        return sum(map(len, self.ended_rows))

    @property
    def acceptance_rate(self) -> float:
        return self.accepted / self.drafted if self.drafted else math.nan


def decode_batches(
    batches: Sequence[Sequence[int]],
    prompted: Callable[[Sequence[int]], PromptedModel],
    settings: DecodingSettings,
    clock: Clock,
) -> DecodedTexts:
    """Decode every batch, which is given by the indices of its texts.

    Encoding the sources of a batch is part of its time and of the time to its first token.
    """
    decoded = DecodedTexts(settings=settings, rows=[[] for batch in batches for _ in batch])
    for indices in batches:
        start = clock.now_ns()
        model, draft, prompt = prompted(indices)
        watch = watch_first_token(model, clock)
        rows = _decode(watch, draft, prompt, settings.decoding_of(indices), decoded)
        end = clock.now_ns()
        decoded.seconds.append((end - start) / 1e9)
        decoded.first_token_seconds.append((watch.first_ns - start) / 1e9)
        for index, row in zip(indices, rows, strict=True):
            decoded.rows[index] = row
    return decoded


def _decode(
    model: FirstTokenWatch, draft: Scorer | None, prompt: Tensor, decoding: Decoding, decoded: DecodedTexts
) -> list[list[int]]:
    """The tokens of each row; the draft's proposals are counted in `decoded`."""
    end = decoded.settings.end
    limits = {"new_tokens": decoded.settings.new_tokens, "cache": decoded.settings.cache, "end": end}
    if not isinstance(decoding, Speculative):
        return decode(model, prompt, decoding, **limits)  # type: ignore[arg-type]
    assert draft is not None
    speculated = speculative(TargetAndDraft(model, draft), prompt, decoding, **limits)  # type: ignore[arg-type]
    decoded.drafted += speculated.drafted
    decoded.accepted += speculated.accepted
    rows = speculated.tokens.tolist()
    return [row[: row.index(end)] if end in row else row for row in rows]
