"""The training loop over a few updates, and what it reported.

Imported when checks run, never to list them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.training.loop import Costs, LoopSettings, Trained, Training
from harness.training.objective import MicroBatch
from harness.training.schedule import Schedule
from harness.training.update import Updater


class Repeated:
    """The same micro-batches again and again."""

    def __init__(self, batches: Sequence[MicroBatch]) -> None:
        self._batches, self._place = batches, 0

    @property
    def first(self) -> MicroBatch:
        return self._batches[0]

    def __next__(self) -> MicroBatch:
        self._place += 1
        return self._batches[(self._place - 1) % len(self._batches)]

    def state(self) -> Mapping[str, Any]:
        return {"place": self._place}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._place = state["place"]


@dataclass(frozen=True, kw_only=True)
class Looped:
    """`reported` has the values of each metric, in order."""

    training: Training
    reported: Mapping[str, list[float]]


def loop(
    updater: Updater,
    data: Repeated,
    *,
    schedule: Schedule,
    updates: int,
    accumulate: int = 1,
    save_every: int | None = None,
) -> Looped:
    """A training that evaluates once, at the end, on the first micro-batch; still to be run."""
    reported: dict[str, list[float]] = defaultdict(list)
    recipe = LoopSettings(
        updates=updates,
        schedule=schedule,
        accumulate=accumulate,
        evaluate_every=updates,
        save_every=save_every,
        divergence=None,
    )
    training = Training(
        updater,
        data,
        recipe,
        evaluation=lambda: [data.first],
        report=lambda metric, value, step, /: reported[metric].append(value),  # noqa: ARG005
        costs=Costs(chance=1.0, flops_of=lambda batch: float(batch[0].size)),
    )
    return Looped(training=training, reported=reported)


def looped(
    updater: Updater, data: Repeated, *, schedule: Schedule, updates: int, accumulate: int = 1
) -> tuple[Trained, Mapping[str, list[float]]]:
    """Train to the end: what was spent, and the values of each metric."""
    made = loop(updater, data, schedule=schedule, updates=updates, accumulate=accumulate)
    return made.training.run(), made.reported
