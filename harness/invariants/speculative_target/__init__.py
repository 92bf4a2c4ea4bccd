"""speculative-target: speculative decoding gives what its target model gives, whatever the draft proposes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from harness.invariants.base import CACHE_KINDS, CacheInvariant, PlantedBug, instead_of
from harness.invariants.subjects import WritingSubject

if TYPE_CHECKING:
    from torch import Tensor


@instead_of("harness.models.decoding.speculative", "residual")
def _redrawn_from_all(_: object, p: Tensor, __: Tensor) -> Tensor:
    return p


@instead_of("harness.models.decoding.speculative", "leading")
def _accepted_after_a_rejection(_: object, true: Tensor) -> Tensor:
    return true.sum(dim=1)


@instead_of("harness.models.decoding.speculative", "_roll_back")
def _not_rolled_back(*_: object) -> None:
    """The rejected tokens stay in the cache."""


class SpeculativeTarget(CacheInvariant[WritingSubject]):
    """The level is the kind of cache of both models. On a study's subject only greedy tokens are checked."""

    statement: ClassVar[str] = (
        "Speculative decoding gives the target model's greedy tokens, or samples from the target model's "
        "distribution."
    )
    planted_bugs: ClassVar[tuple[PlantedBug, ...]] = (
        PlantedBug(
            name="redrawn-from-all",
            summary="after a rejection the token is drawn from the target's full distribution",
            levels=CACHE_KINDS,
            bug=_redrawn_from_all,
        ),
        PlantedBug(
            name="accepted-after-a-rejection",
            summary="proposed tokens are accepted although an earlier one was rejected",
            levels=CACHE_KINDS,
            bug=_accepted_after_a_rejection,
        ),
        PlantedBug(
            name="not-rolled-back",
            summary="rejected tokens stay in the cache before the next ones",
            levels=CACHE_KINDS,
            bug=_not_rolled_back,
        ),
    )

    def wants_alike(self, settings: Mapping[str, Any]) -> bool:
        decoding = settings["decoding"]
        return bool(decoding["kind"] == "speculative" and decoding["choose"]["kind"] == "greedy")
