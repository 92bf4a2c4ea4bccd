"""The base of a decoder-only model that is not the transformer of this package."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor, nn

from harness.models.config import CacheKind
from harness.models.config.own import OwnDecoderConfig
from harness.models.decoding.base import DecodingCache


class LogitsOutput(nn.Module):
    """The output of a model whose states are its logits already."""

    def logits(self, states: Tensor) -> Tensor:
        return states


class OwnDecoder(nn.Module, ABC):
    """A subclass has a `forward` and a `new_cache`. With them the model is trained, decoded in every way, and
    checked by the invariants of decoding.
    """

    def __init__(self, config: OwnDecoderConfig) -> None:
        super().__init__()
        self.config = config
        self.output = LogitsOutput()

    @abstractmethod
    def forward(self, tokens: Tensor, *, cache: Any = None, valid: Tensor | None = None) -> Tensor:
        """Tokens (B, T) to logits (B, T, V). They follow the positions in the cache, which grows by T.

        `valid` (B, T) is False at padding, which is neither attended to nor counted as a position. Without
        padding it is None. A model that cannot have padding raises ValueError.
        """

    @abstractmethod
    def new_cache(self, kind: CacheKind, *, batch: int, capacity: int) -> DecodingCache | None:
        """An empty cache with room for `capacity` positions; None for "none".

        A model that has no cache of this kind raises ValueError.
        """

    @property
    def max_positions(self) -> int:
        return self.config.max_positions

    def next_logits(self, tokens: Tensor, *, cache: Any = None, valid: Tensor | None = None) -> Tensor:
        """Like `forward`, but only the logits (B, V) after the last token."""
        logits: Tensor = self(tokens, cache=cache, valid=valid)
        return logits[:, -1]

    def hidden(self, tokens: Tensor, *, cache: Any = None, valid: Tensor | None = None) -> Tensor:
        """The states that `output` turns into logits: the logits themselves."""
        logits: Tensor = self(tokens, cache=cache, valid=valid)
        return logits


def build_own(config: OwnDecoderConfig, *, for_weights: bool = False) -> OwnDecoder:
    """The model of the config, or one whose values will be replaced by stored ones. Raises TypeError if it is
    not an OwnDecoder.
    """
    model = config.build_for_weights() if for_weights else config.build()
    if not isinstance(model, OwnDecoder):
        raise TypeError(
            f"{type(config).__name__}.build gave a {type(model).__name__}, which is no OwnDecoder"
        )
    return model
