"""The training loop over a few updates, and what it reported. Imported when checks run, never to list them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.training.loop import Costs, Recipe, Trained, Training
from harness.training.objective import Batch
from harness.training.schedule import Schedule
from harness.training.update import Updater


class Repeated:
    """The same micro-batches again and again."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        self._batches, self._place = batches, 0

    def __next__(self) -> Batch:
        self._place += 1
        return self._batches[(self._place - 1) % len(self._batches)]

    def state(self) -> Mapping[str, Any]:
        return {"place": self._place}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._place = state["place"]


@dataclass(frozen=True, kw_only=True)
class Looped:
    """`reported` has the values of each metric, in order."""

    trained: Trained
    reported: Mapping[str, list[float]]


def looped(
    updater: Updater, data: Repeated, *, schedule: Schedule, updates: int, accumulate: int = 1
) -> Looped:
    """Train and evaluate once, at the end, on the first micro-batch."""
    reported: dict[str, list[float]] = defaultdict(list)
    training = Training(
        updater,
        data,
        Recipe(
            updates=updates, schedule=schedule, accumulate=accumulate, evaluate_every=updates, divergence=None
        ),
        evaluation=lambda: [data._batches[0]],
        report=lambda metric, value, step, /: reported[metric].append(value),  # noqa: ARG005
        costs=Costs(chance=1.0, flops_of=lambda batch: float(batch[0].size)),
    )
    return Looped(trained=training.run(), reported=reported)
