"""beam-greedy: a beam of width one is greedy decoding, and a beam without limit is an exhaustive search."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from harness.invariants.base import CACHE_KINDS, CACHED, CacheInvariant, PlantedBug, instead_of
from harness.invariants.subjects import WritingSubject

if TYPE_CHECKING:
    from harness.models.decoding.beam_bookkeeping import Continuation, Tokens
    from harness.models.decoding.config import LengthPenalty

# The number of tokens of every prompt of the tiny models.
PROMPT = 5


@instead_of("harness.models.decoding.beam_bookkeeping", "penalised")
def _prompt_in_the_penalty(
    original: Callable[..., float], log_probability: float, *, length: int, penalty: LengthPenalty
) -> float:
    return original(log_probability, length=length + PROMPT, penalty=penalty)


@instead_of("harness.models.decoding.beam_bookkeeping", "continued")
def _histories_of_the_place(
    original: Callable[..., list[Tokens]], before: Sequence[Tokens], placed: Sequence[Continuation]
) -> list[Tokens]:
    return original(before, [(score, slot, token) for slot, (score, _, token) in enumerate(placed)])


@instead_of("harness.models.cache", "DynamicCache.reorder", "StaticCache.reorder", "DoublingCache.reorder")
def _cache_not_reordered(*_: object, **__: object) -> None:
    """Every beam keeps the keys of its slot."""


class BeamGreedy(CacheInvariant[WritingSubject]):
    """The level is the kind of cache.

    On a study's subject only the beam of width one is checked.
    """

    statement: ClassVar[str] = (
        "A beam of width one gives the greedy tokens, and a beam without limit gives the best of all "
        "continuations."
    )
    planted_bugs: ClassVar[tuple[PlantedBug, ...]] = (
        PlantedBug(
            name="prompt-in-the-penalty",
            summary="the length penalty counts the prompt (transformers#26624)",
            levels=CACHE_KINDS,
            bug=_prompt_in_the_penalty,
        ),
        PlantedBug(
            name="histories-of-the-place",
            summary="a beam takes the earlier tokens of its slot, not those of the beam that it continues",
            levels=CACHE_KINDS,
            bug=_histories_of_the_place,
        ),
        PlantedBug(
            name="cache-not-reordered",
            summary="the cache is not reordered when beams change slots",
            levels=CACHED,
            bug=_cache_not_reordered,
        ),
    )

    def wants_alike(self, settings: Mapping[str, Any]) -> bool:
        return bool(settings["decoding"].get("width") == 1)
