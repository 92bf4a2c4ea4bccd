"""speculative-target: speculative decoding gives what its target model gives, whatever the draft proposes."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar

from harness.invariants.base import CACHE_KINDS, Invariant, PlantedBug, patched
from harness.invariants.subjects import Subject, WritingSubject

if TYPE_CHECKING:
    from torch import Tensor

    from harness.models.decoding.decoding_state import Rows

EVERY = ("none", "dynamic", "static", "doubling")


def _redrawn_from_all() -> AbstractContextManager[None]:
    from harness.models.decoding import verification

    def all_of_it(p: Tensor, _: Tensor) -> Tensor:
        return p

    return patched(verification, "residual", all_of_it)


def _accepted_after_a_rejection() -> AbstractContextManager[None]:
    from harness.models.decoding import verification

    def how_many(true: Tensor) -> Tensor:
        return true.sum(dim=1)

    return patched(verification, "leading", how_many)


def _not_rolled_back() -> AbstractContextManager[None]:
    from harness.models.decoding import speculative

    def stay(rows: Rows, dropped: Tensor) -> None:
        """The rejected tokens stay in the cache."""

    return patched(speculative, "_roll_back", stay)


class SpeculativeTarget(Invariant[WritingSubject]):
    """The level is the kind of cache of both models. On a study's subject only greedy tokens are checked."""

    name: ClassVar[str] = "speculative-target"
    statement: ClassVar[str] = (
        "Speculative decoding gives the target model's greedy tokens, or samples from the target model's "
        "distribution."
    )
    needs: ClassVar[type[Subject]] = WritingSubject
    levels: ClassVar[tuple[str, ...]] = CACHE_KINDS
    planted_bugs: ClassVar[tuple[PlantedBug, ...]] = (
        PlantedBug(
            name="redrawn-from-all",
            summary="after a rejection the token is drawn from the target's full distribution",
            levels=EVERY,
            bug=_redrawn_from_all,
        ),
        PlantedBug(
            name="accepted-after-a-rejection",
            summary="proposed tokens are accepted although an earlier one was rejected",
            levels=EVERY,
            bug=_accepted_after_a_rejection,
        ),
        PlantedBug(
            name="not-rolled-back",
            summary="rejected tokens stay in the cache before the next ones",
            levels=EVERY,
            bug=_not_rolled_back,
        ),
    )

    def wants_alike(self, settings: Mapping[str, Any]) -> bool:
        decoding = settings["decoding"]
        return bool(decoding["kind"] == "speculative" and decoding["choose"]["kind"] == "greedy")

    def level_of(self, subject: WritingSubject) -> str:
        return subject.cache
