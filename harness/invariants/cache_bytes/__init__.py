"""cache-bytes: a cache takes the memory that the formula gives, and grows as batch × length × layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from harness.invariants.base import CACHE_KINDS, Invariant, PlantedBug, patched
from harness.invariants.subjects import DecodingSubject, Subject

if TYPE_CHECKING:
    from torch import Tensor

    from harness.models.cache import Cache, CacheShape
    from harness.models.config import CacheKind


@contextmanager
def _keys_kept_twice() -> Iterator[None]:
    import torch

    from harness.models import cache

    def hoarding(original: Callable[..., tuple[Tensor, Tensor]]) -> Callable[..., tuple[Tensor, Tensor]]:
        def append(self: cache.DynamicCache, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
            result = original(self, layer, k, v)
            keys = self._keys[layer]
            assert keys is not None
            self._keys[layer] = torch.cat((keys, keys), dim=2).narrow(2, 0, keys.shape[2])
            return result

        return append

    with ExitStack() as stack:
        for kind in (cache.DynamicCache, cache.StaticCache, cache.DoublingCache):
            stack.enter_context(patched(kind, "append", hoarding(kind.append)))
        yield


def _capacity_doubled() -> AbstractContextManager[None]:
    from harness.models import cache, transformer

    original = cache.make_cache

    def generous(kind: CacheKind, shape: CacheShape) -> Cache | None:
        return original(kind, replace(shape, capacity=2 * shape.capacity))

    return patched(transformer, "make_cache", generous)


class CacheBytes(Invariant[DecodingSubject]):
    """At level "none" nothing is stored: 0 bytes."""

    name: ClassVar[str] = "cache-bytes"
    statement: ClassVar[str] = "A cache's tensors take exactly the bytes that the closed form gives."
    needs: ClassVar[type[Subject]] = DecodingSubject
    levels: ClassVar[tuple[str, ...]] = CACHE_KINDS
    planted_bugs: ClassVar[tuple[PlantedBug, ...]] = (
        PlantedBug(
            name="keys-kept-twice",
            summary="the stored keys are a view into a buffer of twice their size",
            levels=("dynamic", "static", "doubling"),
            bug=_keys_kept_twice,
        ),
        PlantedBug(
            name="capacity-doubled",
            summary="a static cache is allocated with twice the positions that it will hold",
            levels=("static",),
            bug=_capacity_doubled,
        ),
    )

    def level_of(self, subject: DecodingSubject) -> str:
        return subject.cache
