"""The time of units of work that several ranks do together."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import distributed

from harness.telemetry.clock import Clock


@dataclass(frozen=True, slots=True)
class RanksClock(Clock):
    """The time at which the device of every rank is done: that of the slowest one. All ranks read the same
    seconds, and so they end a warm-up after the same unit.
    """

    def seconds(self, since: int) -> float:
        seconds = torch.tensor(Clock.seconds(self, since), dtype=torch.float64)
        slowest = seconds.to(self.device)
        distributed.all_reduce(slowest, op=distributed.ReduceOp.MAX)
        return float(slowest)
