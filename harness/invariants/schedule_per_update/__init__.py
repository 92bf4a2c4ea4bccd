"""schedule-per-update: the learning rate takes one step of its schedule per optimizer update."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from harness.invariants.base import Invariant, PlantedBug, patched
from harness.invariants.subjects import TrainingSubject

if TYPE_CHECKING:
    from harness.training.loop import Training


def moved_schedule(positions: Callable[[Training, int], int]) -> AbstractContextManager[None]:
    """Make the loop ask its schedule for the position that `positions(training, applied)` returns."""
    from harness.training.loop import Training

    original = Training._update

    class Moved:
        def __init__(self, training: Training) -> None:
            self._training, self._schedule = training, training.recipe.schedule

        def factor(self, update: int, updates: int) -> float:
            return self._schedule.factor(min(positions(self._training, update), updates - 1), updates)

    def moved(self: Training, *arguments: Any, **named: Any) -> None:
        right = self.recipe
        self.recipe = replace(right, schedule=Moved(self))  # type: ignore[arg-type]
        try:
            original(self, *arguments, **named)
        finally:
            self.recipe = right

    return patched(Training, "_update", moved)


def _per_micro_batch() -> AbstractContextManager[None]:
    return moved_schedule(lambda training, applied: applied * training.recipe.accumulate)


def _one_behind() -> AbstractContextManager[None]:
    return moved_schedule(lambda _, applied: max(0, applied - 1))


class SchedulePerUpdate(Invariant[TrainingSubject]):
    statement: ClassVar[str] = (
        "The learning rate takes one step of its schedule per update, however many micro-batches the update "
        "has."
    )
    planted_bugs: ClassVar[tuple[PlantedBug, ...]] = (
        PlantedBug(
            name="per-micro-batch",
            summary="every micro-batch advances the schedule",
            bug=_per_micro_batch,
        ),
        PlantedBug(
            name="one-behind",
            summary="the first rate of the schedule is used twice and the last one never",
            bug=_one_behind,
        ),
    )
