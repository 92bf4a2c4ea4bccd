"""The rows that are being decoded, the tokens that the model has been fed, and one token per step for every
row until it ends.

A cache keeps their keys and values; without a cache the tokens are kept and fed again at every step. The
operations are the same in both cases.
B sentences, R rows (B, or B times the width of a beam), T new tokens, V vocabulary.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import cast

import torch
from torch import Tensor

from harness.models.config import CacheKind
from harness.models.decoding.base import BoundToSources, Decodable, DecodingCache, Scorer
from harness.models.padding import (
    align_right,
    aligned_mask,
    all_real,
    columns_needed,
    leading_padding,
    unless_all_real,
)

# From the logits (R, V) of the rows that continue and their indices among the prompts (R,) to their next
# tokens (R,).
Choose = Callable[[Tensor, Tensor], Tensor]


class Rows(ABC):
    def __init__(self, model: Decodable) -> None:
        self._model = model

    @property
    @abstractmethod
    def length(self) -> int:
        """The number of positions that were fed, padding included."""

    @abstractmethod
    def feed(self, tokens: Tensor, *, valid: Tensor | None = None) -> Tensor:
        """Tokens (R, T) to the logits (R, V) after the last one."""

    @abstractmethod
    def score(self, tokens: Tensor) -> Tensor:
        """Tokens (R, T) to the logits (R, T, V) after each token; the model must be a Scorer."""

    @abstractmethod
    def reorder(self, rows: list[int], *, shared: list[int]) -> None:
        """Row i continues as `rows[i]` of the same sentence; their first `shared[i]` positions are known to
        be equal.
        """

    @abstractmethod
    def truncate(self, lengths: Tensor) -> None:
        """Roll row r back to its first `lengths[r]` positions."""

    @abstractmethod
    def _select(self, rows: Tensor) -> None:
        """Keep those rows, each as often as it is listed."""

    def expand(self, sentences: Tensor, *, width: int) -> None:
        """Every row, all of them listed in `sentences` (B,), becomes `width` neighbouring rows."""
        self._select(sentences.repeat_interleave(width))

    def keep(self, sentences: Tensor, *, width: int = 1) -> None:
        """Keep those sentences (B',) with their `width` rows each; the others leave the batch."""
        if isinstance(self._model, BoundToSources):
            self._model = self._model.keep_sources(sentences)
        beams = torch.arange(width, device=sentences.device)
        self._select((sentences[:, None] * width + beams).flatten())


class CachedRows(Rows):
    def __init__(self, model: Decodable, cache: DecodingCache) -> None:
        super().__init__(model)
        self._cache = cache

    @property
    def length(self) -> int:
        return self._cache.length

    def feed(self, tokens: Tensor, *, valid: Tensor | None = None) -> Tensor:
        return self._model.next_logits(tokens, cache=self._cache, valid=valid)

    def score(self, tokens: Tensor) -> Tensor:
        return cast(Scorer, self._model)(tokens, cache=self._cache, valid=None)

    def reorder(self, rows: list[int], *, shared: list[int]) -> None:
        self._cache.reorder(rows, shared=shared)

    def truncate(self, lengths: Tensor) -> None:
        self._cache.truncate(lengths)

    def _select(self, rows: Tensor) -> None:
        self._cache.keep_rows(rows)


class UncachedRows(Rows):
    """The plain reference with which caches are compared."""

    def __init__(self, model: Decodable, *, batch: int, device: torch.device) -> None:
        super().__init__(model)
        self._tokens = torch.empty((batch, 0), dtype=torch.long, device=device)
        self._valid: Tensor | None = None  # (R, length)

    @property
    def length(self) -> int:
        return self._tokens.shape[1]

    def feed(self, tokens: Tensor, *, valid: Tensor | None = None) -> Tensor:
        self._append(tokens, valid)
        return self._model.next_logits(self._tokens, cache=None, valid=self._valid)

    def score(self, tokens: Tensor) -> Tensor:
        self._append(tokens, None)
        logits = cast(Scorer, self._model)(self._tokens, cache=None, valid=self._valid)
        return logits[:, -tokens.shape[1] :]

    def reorder(self, rows: list[int], *, shared: list[int]) -> None:  # noqa: ARG002
        self._select(torch.tensor(rows, device=self._tokens.device))

    def truncate(self, lengths: Tensor) -> None:
        valid = self._all_real(self._tokens) if self._valid is None else self._valid
        end = columns_needed(valid, lengths)
        align_right(self._tokens, lengths, end=end, dim=1)
        self._tokens = self._tokens[:, :end]
        self._valid = unless_all_real(aligned_mask(valid, lengths, end=end))

    def _select(self, rows: Tensor) -> None:
        self._tokens = self._tokens[rows]
        if self._valid is not None:
            valid = self._valid[rows]
            first = leading_padding(valid)
            self._tokens, self._valid = self._tokens[:, first:], unless_all_real(valid[:, first:])

    def _append(self, tokens: Tensor, valid: Tensor | None) -> None:
        if self._valid is not None or valid is not None:
            past = self._all_real(self._tokens) if self._valid is None else self._valid
            self._valid = torch.cat((past, self._all_real(tokens) if valid is None else valid), dim=1)
        self._tokens = torch.cat((self._tokens, tokens), dim=1)

    def _all_real(self, tokens: Tensor) -> Tensor:
        return all_real(tokens.shape[0], tokens.shape[1], tokens.device)


def open_rows(model: Decodable, *, batch: int, capacity: int, cache: CacheKind, device: torch.device) -> Rows:
    """Rows to which no token has been fed yet, with room for `capacity` positions."""
    new_cache = model.new_cache(cache, batch=batch, capacity=capacity)
    if new_cache is None:
        return UncachedRows(model, batch=batch, device=device)
    return CachedRows(model, new_cache)


def token_steps(
    model: Decodable,
    prompt: Tensor,
    choose: Choose,
    *,
    new_tokens: int,
    cache: CacheKind,
    end: int | None,
    valid: Tensor | None,
) -> Iterator[Tensor]:
    """Yield the tokens (B,) of each step.

    A row that has ended leaves the batch, and is filled up with `end`.
    """
    batch, length = prompt.shape
    # Inference mode is entered for each step anew, because a generator would leave it on in its caller.
    with torch.inference_mode():
        rows = open_rows(
            model, batch=batch, capacity=length + new_tokens - 1, cache=cache, device=prompt.device
        )
        live = torch.arange(batch, device=prompt.device)
        token = step = choose(rows.feed(prompt, valid=valid), live)  # (B,)
    yield step
    for _ in range(new_tokens - 1):
        with torch.inference_mode():
            if end is not None:
                going_on = (token != end).nonzero().flatten()
                if not len(going_on):
                    return
                if len(going_on) < len(live):
                    rows.keep(going_on)
                    live, token = live[going_on], token[going_on]
            token = step = choose(rows.feed(token[:, None]), live)  # (R,)
            if len(live) < batch and end is not None:
                step = torch.full((batch,), end, dtype=token.dtype, device=token.device)
                step[live] = token
        yield step
