"""The config of a decoder-only model that is not the transformer of this package. Torch-free."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, get_args

from harness.models.config.base import CacheKind, Count, Frozen

if TYPE_CHECKING:
    from torch import nn


class OwnDecoderConfig(Frozen, ABC):
    """The base of such a config. A subclass has a `kind`, its sizes, and these methods.

    The closed forms do not decide how the model runs. Plans, the utilisation of the machine (MFU), the parity
    between arms and the invariant cache-bytes use them.
    """

    caches: ClassVar[tuple[CacheKind, ...]] = get_args(CacheKind)
    """The kinds of cache that the model has."""

    kind: str
    """The name that chooses this model."""

    vocab_size: Count
    """The number of tokens that the model predicts."""

    max_positions: Count
    """The largest number of positions that the model can see."""

    @abstractmethod
    def build(self) -> nn.Module:
        """The model, an OwnDecoder, with random values from torch's generator, or with those of a file."""

    def build_for_weights(self) -> nn.Module:
        """The model, whose values will be replaced by stored ones."""
        return self.build()

    @abstractmethod
    def parameter_count(self) -> int:
        """The number of values of all parameters."""

    @abstractmethod
    def flops_per_token(self, *, keys: int) -> int:
        """Floating-point operations of the matrix products of a forward pass, for one token that attends to
        `keys` positions. A multiplication and an addition count as two.
        """

    @abstractmethod
    def cache_bytes(self, kind: CacheKind, *, batch: int, positions: int, bytes_per_value: int) -> int:
        """Bytes of a cache of this kind for `batch` rows with `positions` positions each; 0 for "none"."""
