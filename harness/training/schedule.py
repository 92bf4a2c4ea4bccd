"""Learning-rate schedules: a factor on the peak learning rate for every optimizer update."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from harness.config import Config


class CosineSchedule(Config):
    """Linear warm-up, then a half cosine down to `floor` (Loshchilov & Hutter 2017, eq. 5, without restarts)."""

    kind: Literal["cosine"] = "cosine"
    warmup: int = Field(default=0, ge=0)
    floor: float = Field(default=0.1, ge=0.0, le=1.0)

    def factor(self, update: int, updates: int) -> float:
        """The factor for update `update` (from 0) of `updates`; 1 at the end of warm-up, `floor` at the last update."""
        if update < self.warmup:
            return (update + 1) / self.warmup
        span = max(1, updates - 1 - self.warmup)
        progress = min(1.0, (update - self.warmup) / span)
        return self.floor + (1.0 - self.floor) * 0.5 * (1.0 + math.cos(math.pi * progress))
