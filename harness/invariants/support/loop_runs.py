"""Runs of the training loop over a few updates, with the values that it records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.training.loop import Costs, LoopSettings, Trained, Training
from harness.training.objective import MicroBatch
from harness.training.schedule import Schedule
from harness.training.update import Updater


class RepeatedBatches:
    """The same micro-batches again and again."""

    def __init__(self, batches: Sequence[MicroBatch]) -> None:
        self._batches, self._position = batches, 0

    @property
    def first(self) -> MicroBatch:
        return self._batches[0]

    def __next__(self) -> MicroBatch:
        self._position += 1
        return self._batches[(self._position - 1) % len(self._batches)]

    def state(self) -> Mapping[str, Any]:
        return {"position": self._position}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._position = state["position"]


@dataclass(frozen=True, kw_only=True)
class RecordedTraining:
    """A training, and the values of each metric that it records, in order."""

    training: Training
    recorded: Mapping[str, list[float]]


def make_training(
    updater: Updater,
    data: RepeatedBatches,
    *,
    schedule: Schedule,
    updates: int,
    accumulate: int = 1,
    save_every: int | None = None,
) -> RecordedTraining:
    """A training that has not run yet. It evaluates once, at the end, on the first micro-batch."""
    recorded: dict[str, list[float]] = defaultdict(list)
    settings = LoopSettings(
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
        settings,
        evaluation=lambda: [data.first],
        report=lambda metric, value, step, /: recorded[metric].append(value),  # noqa: ARG005
        costs=Costs(chance=1.0, flops_of=lambda batch: float(batch[0].size)),
    )
    return RecordedTraining(training=training, recorded=recorded)


def run_training(
    updater: Updater, data: RepeatedBatches, *, schedule: Schedule, updates: int, accumulate: int = 1
) -> tuple[Trained, Mapping[str, list[float]]]:
    """Train to the end; returns the work that was spent, and the values of each metric."""
    made = make_training(updater, data, schedule=schedule, updates=updates, accumulate=accumulate)
    return made.training.run(), made.recorded
