"""cache-parity: a key-value cache changes the cost of decoding and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from harness.invariants.base import CACHE_KINDS, CACHED, CacheInvariant, PlantedBug, instead_of
from harness.invariants.subjects import DecodingSubject

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from harness.models.block import Block
    from harness.models.cache import Cache
    from harness.models.position import Positions


@instead_of("harness.models.transformer", "positions_of")
def _position_off_by_one(
    original: Callable[..., Positions], *, past: int, tokens: int, valid: Tensor | None
) -> Positions:
    right = original(past=past, tokens=tokens, valid=valid)
    if not past:
        return right
    return slice(right.start - 1, right.stop - 1) if isinstance(right, slice) else (right - 1).clamp(min=0)


@instead_of("harness.models.attention", "causal_mask")
def _top_left_mask(_: object, queries: int, keys: int, *, device: torch.device) -> Tensor:
    import torch

    return torch.ones((queries, keys), dtype=torch.bool, device=device).tril()


@instead_of("harness.models.cache", "DynamicCache.append", "StaticCache.append", "DoublingCache.append")
def _newest_key_lost(
    original: Callable[..., tuple[Tensor, Tensor]], cache: Cache, layer: int, k: Tensor, v: Tensor
) -> tuple[Tensor, Tensor]:
    import torch

    keys, values = original(cache, layer, k, v)
    if keys.shape[2] == k.shape[2]:
        return keys, values
    return torch.cat((keys[:, :, :-1], keys[:, :, -2:-1]), dim=2), values


@instead_of("harness.models.cache", "grown")
def _oldest_half_lost(original: Callable[..., Tensor], old: Tensor, *, filled: int, capacity: int) -> Tensor:
    new = original(old, filled=filled, capacity=capacity)
    new[:, :, : filled // 2] = 0
    return new


@instead_of("harness.models.transformer", "attention_mask")
def _padding_ignored(
    original: Callable[..., Tensor | None],
    queries: int,
    keys: int,
    *,
    valid: Tensor | None,
    device: torch.device,
) -> Tensor | None:
    return original(queries, keys, valid=valid if keys == queries else None, device=device)


@instead_of("harness.models.block", "Block._dropped")
def _dropout_left_on(_: object, block: Block, x: Tensor) -> Tensor:
    from torch.nn import functional

    return functional.dropout(x, block.dropout.p, training=True)


class CacheParity(CacheInvariant[DecodingSubject]):
    """Level "none" is the reference itself; its checks make sure that decoding is deterministic."""

    statement: ClassVar[str] = (
        "Decoding with a key-value cache gives the same logits and the same tokens as decoding without one."
    )
    planted_bugs: ClassVar[tuple[PlantedBug, ...]] = (
        PlantedBug(
            name="position-off-by-one",
            summary="a cached step uses the position of the previous token",
            levels=CACHED,
            bug=_position_off_by_one,
        ),
        PlantedBug(
            name="top-left-mask",
            summary="the causal mask is aligned at the top left when keys come from a cache (pytorch#108108)",
            levels=CACHED,
            bug=_top_left_mask,
        ),
        PlantedBug(
            name="newest-key-lost",
            summary="a cached step sees the second newest key instead of the newest one",
            levels=CACHED,
            bug=_newest_key_lost,
        ),
        PlantedBug(
            name="oldest-half-lost",
            summary="a doubling cache forgets the oldest half of its positions when it grows",
            levels=("doubling",),
            bug=_oldest_half_lost,
        ),
        PlantedBug(
            name="padding-ignored",
            summary="a cached step attends to the padding of its prompt",
            levels=CACHED,
            bug=_padding_ignored,
        ),
        PlantedBug(
            name="dropout-left-on",
            summary="dropout stays on in evaluation mode",
            levels=CACHE_KINDS,
            bug=_dropout_left_on,
        ),
    )

    def wants_alike(self, settings: Mapping[str, Any]) -> bool:  # noqa: ARG002  every arm decodes
        return True
