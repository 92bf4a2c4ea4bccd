"""cache-bytes: a cache takes the memory that the formula gives, and grows as batch × length × layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from harness.invariants.base import CACHED, CacheInvariant, PlantedBug, instead_of
from harness.invariants.subjects import DecodingSubject

if TYPE_CHECKING:
    from torch import Tensor

    from harness.models.cache import Cache, CacheShape, DynamicCache
    from harness.models.config import CacheKind


@instead_of("harness.models.cache", "DynamicCache.append", "StaticCache.append", "DoublingCache.append")
def _keys_kept_twice(
    original: Callable[..., tuple[Tensor, Tensor]], cache: DynamicCache, layer: int, k: Tensor, v: Tensor
) -> tuple[Tensor, Tensor]:
    import torch

    result = original(cache, layer, k, v)
    keys = cache._keys[layer]
    assert keys is not None
    cache._keys[layer] = torch.cat((keys, keys), dim=2).narrow(2, 0, keys.shape[2])
    return result


@instead_of("harness.models.transformer", "make_cache")
def _capacity_doubled(
    original: Callable[..., Cache | None], kind: CacheKind, shape: CacheShape
) -> Cache | None:
    return original(kind, replace(shape, capacity=2 * shape.capacity))


class CacheBytes(CacheInvariant[DecodingSubject]):
    """At level "none" nothing is stored: 0 bytes."""

    statement: ClassVar[str] = "A cache's tensors take exactly the bytes that the closed form gives."
    planted_bugs: ClassVar[tuple[PlantedBug, ...]] = (
        PlantedBug(
            name="keys-kept-twice",
            summary="the stored keys are a view into a buffer of twice their size",
            levels=CACHED,
            bug=_keys_kept_twice,
        ),
        PlantedBug(
            name="capacity-doubled",
            summary="a static cache is allocated with twice the positions that it will hold",
            levels=("static",),
            bug=_capacity_doubled,
        ),
    )
