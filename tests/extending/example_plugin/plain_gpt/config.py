"""The settings of the model and what it costs. Needs no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from harness.models.config import CacheKind, Count
from harness.models.config.own import OwnDecoderConfig

if TYPE_CHECKING:
    from plain_gpt.model import PlainGPT


class PlainGPTConfig(OwnDecoderConfig):
    """`width` is that of the states, and the feed-forward layers are four times as wide."""

    kind: Literal["plain-gpt"] = "plain-gpt"
    width: Count = 32
    heads: Count = 2
    layers: Count = 2

    def build(self) -> PlainGPT:
        from plain_gpt.model import PlainGPT

        return PlainGPT(self)

    def parameter_count(self) -> int:
        block = 12 * self.width**2 + 13 * self.width
        tables = (self.vocab_size + self.max_positions) * self.width
        return tables + self.layers * block + 2 * self.width

    def flops_per_token(self, *, keys: int) -> int:
        block = 12 * self.width**2 + 2 * keys * self.width
        return 2 * (self.layers * block + self.vocab_size * self.width)

    def cache_bytes(self, kind: CacheKind, *, batch: int, positions: int, bytes_per_value: int) -> int:
        if kind == "none":
            return 0
        return self.layers * batch * 2 * self.width * positions * bytes_per_value
