"""What a model must offer to be decoded."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from models.cache import Cache
from models.config import CacheKind


class Decodable(Protocol):
    @property
    def max_positions(self) -> int:
        """Tokens that prompt and continuation may have together."""

    def new_cache(self, kind: CacheKind, *, batch: int, capacity: int) -> Cache | None:
        """An empty cache for `capacity` positions; None for "none"."""

    def next_logits(self, tokens: Tensor, *, cache: Cache | None, valid: Tensor | None) -> Tensor:
        """Logits (B, V) after the last of `tokens` (B, T), which the cache's past precedes."""
