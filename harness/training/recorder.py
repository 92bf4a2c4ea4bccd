"""Recording of updates without waiting for the device: values are kept there and brought over a few updates
at a time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from harness.training.divergence import Divergence
from harness.training.steadiness import gradient_spikes, late_loss_spread

FLUSH_EVERY = 20


class Report(Protocol):
    """Where the loop's raw values go."""

    def __call__(self, metric: str, value: float, step: int, /) -> None: ...


class Stopwatch:
    """Seconds of each update on the device's own clock; nothing waits until `seconds` are asked for."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._start: Any = None

    def start(self) -> None:
        self._start = self._now()

    def lap(self) -> Callable[[], float]:
        """Ends an update and begins the next; the seconds of the ended one, to be asked for once the device
        is done.
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
class Pending:
    """An update whose loss, log Z and gradient norm are still on the device.

    `data_seconds` were spent waiting for its batches.
    """

    update: int
    loss: Tensor
    log_z: Tensor
    norm: Tensor
    learning_rate: float
    tokens: int
    flops: float
    data_seconds: float
    seconds: Callable[[], float]


class Recorder:
    """Reports updates, some at a time on an accelerator, and tells when training has diverged.

    `losses` and `norms` are the curves so far.
    """

    def __init__(
        self,
        report: Report,
        *,
        device: torch.device,
        clip: float | None,
        divergence: Divergence | None,
        chance: float,
        peak_flops: float | None,
    ) -> None:
        self._report, self._clip, self._peak = report, clip, peak_flops
        self._every = 1 if device.type == "cpu" else FLUSH_EVERY
        self._bound = math.inf if divergence is None else divergence.times_chance * chance
        self._patience = 1 if divergence is None else divergence.updates
        self._pending: list[Pending] = []
        self.above = 0
        self.diverged_at: int | None = None
        self.seconds = 0.0
        self.losses: list[float] = []
        self.norms: list[float] = []

    def add(self, pending: Pending) -> None:
        self._pending.append(pending)
        if len(self._pending) >= self._every:
            self.flush()

    def flush(self) -> None:
        """Bring over and report what is pending, up to the update at which training diverged."""
        if not self._pending:
            return
        values = torch.stack(
            [value for each in self._pending for value in (each.loss, each.log_z, each.norm)]
        )
        for each, (loss, log_z, norm) in zip(self._pending, values.view(-1, 3).tolist(), strict=True):
            if self.diverged_at is None:
                self._write(each, loss=loss, log_z=log_z, norm=norm)
        self._pending.clear()

    def steadiness(self, update: int) -> None:
        """Report what the whole curves tell, after the last update."""
        self._report("gradient_spikes", gradient_spikes(self.norms), update)
        spread = late_loss_spread(self.losses)
        if spread is not None:
            self._report("late_loss_spread", spread, update)

    def _write(self, each: Pending, *, loss: float, log_z: float, norm: float) -> None:
        report, update, seconds = self._report, each.update, each.seconds()
        report("loss", loss, update)
        report("training_log_z", log_z, update)
        report("gradient_norm", norm, update)
        report("clipped_gradient_norm", norm if self._clip is None else min(norm, self._clip), update)
        report("learning_rate", each.learning_rate, update)
        report("update_seconds", seconds, update)
        report("data_seconds", each.data_seconds, update)
        report("training_tokens_per_second", each.tokens / seconds, update)
        if self._peak is not None:
            report("mfu", each.flops / seconds / self._peak, update)
        self.seconds += seconds
        self.losses.append(loss)
        self.norms.append(norm)
        self.above = self.above + 1 if loss > self._bound else 0
        if not math.isfinite(loss) or self.above >= self._patience:
            self.diverged_at = update
