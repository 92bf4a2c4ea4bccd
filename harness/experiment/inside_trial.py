"""How far a running trial is, by the last samples that it has recorded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from harness.metrics import stored_metric
from harness.trial.outcome import Sample
from harness.wording import number_text

CURVE = "loss"
"""The metric that says how far a training is."""


class LastValue(NamedTuple):
    """The last value of a metric, and its step of `steps` ones, if this number is known."""

    metric: str
    step: int
    value: float
    steps: int | None

    @property
    def share(self) -> float | None:
        """Which share of the trial is done, if that is known."""
        return min(1.0, (self.step + 1) / self.steps) if self.steps else None

    def __str__(self) -> str:
        """`update 120 of 400, loss 2.31`, or `decode_seconds 0.0123 (3)`."""
        if self.metric == CURVE:
            end = f" of {self.steps:,}" if self.steps else ""
            return f"update {self.step + 1:,}{end}, loss {number_text(self.value)}"
        unit = stored_metric(self.metric).unit
        return f"value {self.step + 1:,} of {self.metric}: {number_text(self.value)}{f' {unit}' * bool(unit)}"


def reached(config: Mapping[str, Any], samples: Iterable[Sample]) -> LastValue | None:
    """How far a trial with this config is. The loss says it, or else the newest sample."""
    newest: Sample | None = None
    for sample in samples:
        if newest is None or sample.metric == CURVE or newest.metric != CURVE:
            newest = sample
    if newest is None:
        return None
    steps = config.get("updates") if newest.metric == CURVE else None
    return LastValue(newest.metric, newest.step, newest.value, steps if isinstance(steps, int) else None)
