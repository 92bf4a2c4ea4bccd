"""cache-parity: a key-value cache changes the cost of decoding and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from harness.invariants.base import CACHE_KINDS, Invariant, PlantedBug, patched
from harness.invariants.subjects import DecodingSubject, Subject

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from harness.models.cache import Cache
    from harness.models.position.base import Positions

CACHED = ("dynamic", "static", "doubling")


@contextmanager
def _position_off_by_one() -> Iterator[None]:
    from harness.models import transformer
    from harness.models.position import base as position

    original = position.positions_of

    def off_by_one(*, past: int, tokens: int, valid: Tensor | None) -> Positions:
        right = original(past=past, tokens=tokens, valid=valid)
        if not past:
            return right
        return (
            slice(right.start - 1, right.stop - 1) if isinstance(right, slice) else (right - 1).clamp(min=0)
        )

    with patched(transformer, "positions_of", off_by_one):
        yield


def _top_left_mask() -> AbstractContextManager[None]:
    from harness.models import attention

    def top_left(queries: int, keys: int, *, device: torch.device) -> Tensor:
        import torch

        return torch.ones((queries, keys), dtype=torch.bool, device=device).tril()

    return patched(attention, "causal_mask", top_left)


@contextmanager
def _newest_key_lost() -> Iterator[None]:
    from harness.models import cache

    def lossy(original: object) -> object:
        def append(self: Cache, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
            import torch

            keys, values = original(self, layer, k, v)  # type: ignore[operator]
            if keys.shape[2] == k.shape[2]:
                return keys, values
            return torch.cat((keys[:, :, :-1], keys[:, :, -2:-1]), dim=2), values

        return append

    with ExitStack() as stack:
        for kind in (cache.DynamicCache, cache.StaticCache, cache.DoublingCache):
            stack.enter_context(patched(kind, "append", lossy(kind.append)))
        yield


def _oldest_half_lost() -> AbstractContextManager[None]:
    from harness.models import cache

    original = cache.grown

    def forgetful(old: Tensor, *, filled: int, capacity: int) -> Tensor:
        new = original(old, filled=filled, capacity=capacity)
        new[:, :, : filled // 2] = 0
        return new

    return patched(cache, "grown", forgetful)


def _padding_ignored() -> AbstractContextManager[None]:
    from harness.models import attention, transformer

    original = attention.attention_mask

    def ignorant(queries: int, keys: int, *, valid: Tensor | None, device: torch.device) -> Tensor | None:
        return original(queries, keys, valid=valid if keys == queries else None, device=device)

    return patched(transformer, "attention_mask", ignorant)


def _dropout_left_on() -> AbstractContextManager[None]:
    from torch.nn import functional

    from harness.models.block import Block

    def always(self: Block, x: Tensor) -> Tensor:
        return functional.dropout(x, self.dropout.p, training=True)

    return patched(Block, "_dropped", always)


class CacheParity(Invariant[DecodingSubject]):
    """Level "none" is the reference itself; its checks make sure that decoding is deterministic."""

    name: ClassVar[str] = "cache-parity"
    statement: ClassVar[str] = (
        "Decoding with a key-value cache gives the same logits and the same tokens as decoding without one."
    )
    needs: ClassVar[type[Subject]] = DecodingSubject
    levels: ClassVar[tuple[str, ...]] = CACHE_KINDS
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
            levels=("none", *CACHED),
            bug=_dropout_left_on,
        ),
    )

    def wants_alike(self, settings: Mapping[str, Any]) -> bool:  # noqa: ARG002  every arm decodes
        return True

    def level_of(self, subject: DecodingSubject) -> str:
        return subject.cache
