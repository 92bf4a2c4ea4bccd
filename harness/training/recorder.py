"""Recording of updates without waiting for the device: the results of several updates are read at once."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from harness.training.steadiness import Divergence, gradient_spikes, late_loss_spread
from harness.training.update import Update

FLUSH_EVERY = 20
# An auxiliary loss of the layers is recorded as a metric whose name begins with this.
AUXILIARY_LOSS = "auxiliary_loss_"


class ReportSample(Protocol):
    """Takes the raw values of the loop."""

    def __call__(self, metric: str, value: float, step: int, /) -> None: ...


class Stopwatch:
    """Measures the seconds of each update on the device's own clock, without waiting for the device."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._start: Any = None

    def start(self) -> None:
        self._start = self._now()

    def lap(self) -> Callable[[], float]:
        """End an update and begin the next one.

        The returned function gives the seconds of the update that ended. Call it when the device is done.
        """
        start, end = self._start, self._now()
        self._start = end
        if self._device.type == "cuda":
            return lambda: float(start.elapsed_time(end)) / 1e3
        return lambda: (end - start) / 1e9

    def _now(self) -> Any:
        if self._device.type != "cuda":
            return time.perf_counter_ns()
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        return event


@dataclass(frozen=True, kw_only=True, slots=True)
class PendingUpdate:
    """An update that is not reported yet. `data_seconds` is the time that it waited for its batches."""

    number: int
    result: Update
    learning_rate: float
    flops: float
    data_seconds: float
    seconds: Callable[[], float]


class TrainingRecorder:
    """Reports updates (several at a time on an accelerator) and detects that a training has diverged.

    `losses` and `norms` are the curves so far.
    """

    def __init__(
        self,
        report: ReportSample,
        *,
        device: torch.device,
        divergence: Divergence | None,
        chance: float,
        peak_flops: float | None,
    ) -> None:
        self._report, self._peak = report, peak_flops
        self._every = 1 if device.type == "cpu" else FLUSH_EVERY
        self._bound = math.inf if divergence is None else divergence.times_chance * chance
        self._patience = 1 if divergence is None else divergence.updates
        self._pending: list[PendingUpdate] = []
        self.above = 0
        self.diverged_at: int | None = None
        self.seconds = 0.0
        self.losses: list[float] = []
        self.norms: list[float] = []

    def add(self, update: PendingUpdate) -> None:
        self._pending.append(update)
        if len(self._pending) >= self._every:
            self.flush()

    def flush(self) -> None:
        """Read and report the pending updates, up to the update at which the training diverged."""
        if not self._pending:
            return
        values = torch.stack([value for update in self._pending for value in update.result.measured])
        rows = values.view(len(self._pending), -1).tolist()
        for update, row in zip(self._pending, rows, strict=True):
            if self.diverged_at is None:
                self._record(update, *row)
        self._pending.clear()

    def report_steadiness(self, number: int) -> None:
        """Report the figures of the whole curves, after the last update."""
        self._report("gradient_spikes", gradient_spikes(self.norms), number)
        spread = late_loss_spread(self.losses)
        if spread is not None:
            self._report("late_loss_spread", spread, number)

    def _record(
        self,
        update: PendingUpdate,
        loss: float,
        log_z: float,
        norm: float,
        clipped_norm: float,
        *auxiliary: float,
    ) -> None:
        report, number, seconds = self._report, update.number, update.seconds()
        report("loss", loss, number)
        report("training_log_z", log_z, number)
        report("gradient_norm", norm, number)
        report("clipped_gradient_norm", clipped_norm, number)
        for name, value in zip(update.result.auxiliary, auxiliary, strict=True):
            report(AUXILIARY_LOSS + name, value, number)
        report("learning_rate", update.learning_rate, number)
        report("update_seconds", seconds, number)
        report("data_seconds", update.data_seconds, number)
        report("training_tokens_per_second", update.result.tokens / seconds, number)
        if self._peak is not None:
            report("mfu", update.flops / seconds / self._peak, number)
        self.seconds += seconds
        self.losses.append(loss)
        self.norms.append(norm)
        self.above = self.above + 1 if loss > self._bound else 0
        if not math.isfinite(loss) or self.above >= self._patience:
            self.diverged_at = number
