"""What a model must offer to be decoded, and the checks that all decoders share.

The protocols are small, so that any model can implement them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from harness.models.config import CacheKind


class DecodingCache(Protocol):
    """What decoding asks of a cache. What it holds is the business of its model."""

    @property
    def length(self) -> int:
        """The positions that were fed to the model, padding included."""

    @property
    def nbytes(self) -> int:
        """Bytes of the tensors that it holds."""

    def keep_rows(self, rows: Tensor) -> None:
        """Keep those rows (B',), each as often as it is listed."""

    def reorder(self, rows: Sequence[int], *, shared: Sequence[int] | None = None) -> None:
        """Row i continues as `rows[i]`, for beam search. Their first `shared[i]` positions are known to be
        equal, so they need no copy.
        """

    def truncate(self, lengths: int | Tensor) -> None:
        """Roll back to the first `lengths` positions, for speculative decoding. Raises NotImplementedError if
        the cache cannot.
        """


class Decodable(Protocol):
    """All that greedy decoding, beam search and sampling need. A cache is one that the model made itself."""

    @property
    def max_positions(self) -> int:
        """The largest number of tokens of prompt and continuation together."""

    def new_cache(self, kind: CacheKind, *, batch: int, capacity: int) -> DecodingCache | None:
        """An empty cache for `capacity` positions; None for "none", and from a model without caches.

        Without a cache every step is fed all tokens so far.
        """

    def next_logits(self, tokens: Tensor, *, cache: Any, valid: Tensor | None) -> Tensor:
        """Logits (B, V) after the last of `tokens` (B, T), which follow the cached positions.

        Beam search overwrites the logits.
        """


class Scorer(Decodable, Protocol):
    """What speculative decoding needs of its target model in addition."""

    def __call__(self, tokens: Tensor, *, cache: Any, valid: Tensor | None) -> Tensor:
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

    def new_cache(self, kind: CacheKind, *, batch: int, capacity: int) -> DecodingCache | None:
        return self.model.new_cache(kind, batch=batch, capacity=capacity)

    def next_logits(self, tokens: Tensor, *, cache: Any, valid: Tensor | None) -> Tensor:
        return self.model.next_logits(tokens, cache=cache, valid=valid)

    def __call__(self, tokens: Tensor, *, cache: Any, valid: Tensor | None) -> Tensor:
        return self.model(tokens, cache=cache, valid=valid)


def check_prompt(
    name: str, model: Decodable, prompt: Tensor, *, new_tokens: int, valid: Tensor | None
) -> None:
    """Raises ValueError if the model cannot continue the prompt (B, P) by so many tokens."""
    batch, length = prompt.shape
    if batch < 1:
        raise ValueError(f"{name}: the prompt has no rows; give at least one")
    if length < 1 or new_tokens < 1:
        raise ValueError(
            f"{name}: prompt and continuation need at least one token each, not {length} and {new_tokens}"
        )
    if length + new_tokens > model.max_positions:
        raise ValueError(
            f"{name}: prompt {length} + new tokens {new_tokens} exceed max_positions {model.max_positions}; "
            "reduce new_tokens or increase the model's max_positions"
        )
    if valid is not None and valid.shape != prompt.shape:
        raise ValueError(
            f"{name}: valid has shape {tuple(valid.shape)}, but the prompt has {tuple(prompt.shape)}"
        )
    if valid is not None and not bool(valid[:, -1].all()):
        raise ValueError(f"{name}: a prompt ends in padding; pad on the left")


def check_finite(name: str, summary: Tensor | Iterable[float]) -> None:
    """Raises ValueError if a number is not finite. `summary` has one per row, such as its maximum."""
    if isinstance(summary, Tensor):
        finite = bool(summary.isfinite().all())
    else:
        finite = all(math.isfinite(value) for value in summary)
    if not finite:
        raise ValueError(
            f"{name}: the model produced logits that are not finite; check whether its parameters are finite"
        )
