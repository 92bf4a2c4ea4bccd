"""Learning-rate schedules: a factor on the peak learning rate for every optimizer update."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Annotated, Literal

from pydantic import Field

from harness.config import Config

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Schedule(Config, ABC):
    """A linear warm-up over `warmup` updates, and then the curve of a subclass. Applied updates count from
    0.
    """

    kind: str
    """The name that chooses this schedule."""

    warmup: int = Field(default=0, ge=0)
    """The number of updates over which the learning rate rises to its peak."""

    @property
    def least_updates(self) -> int:
        """A training with fewer updates would end before all parts of the schedule are over."""
        return self.warmup

    def factor(self, update: int, updates: int) -> float:
        """The factor for an update (counted from 0) of `updates`: from 0 to 1, and 1 at the end of
        warm-up.
        """
        if update < self.warmup:
            return (update + 1) / self.warmup
        return self._after_warmup(update, updates)

    @abstractmethod
    def _after_warmup(self, update: int, updates: int) -> float: ...


def _progress(update: int, first: int, updates: int) -> float:
    """0 at update `first`, 1 at the last of `updates`."""
    return min(1.0, (update - first) / max(1, updates - 1 - first))


class ConstantSchedule(Schedule):
    """The peak, after warm-up."""

    kind: Literal["constant"] = "constant"

    def _after_warmup(self, _update: int, _updates: int) -> float:
        return 1.0


class CosineSchedule(Schedule):
    """The peak for `flat` updates, then half a cosine down to `floor`.

    Loshchilov & Hutter 2017, eq. 5, without restarts. This is the formula of the code of source 003; the
    formula that it prints adds the floor to the peak, and so exceeds it.
    """

    kind: Literal["cosine"] = "cosine"
    flat: int = Field(default=0, ge=0)
    """The number of updates at the peak after the warm-up."""

    floor: Share = 0.1
    """The share of the peak at the end."""

    @property
    def least_updates(self) -> int:
        return self.warmup + self.flat

    def _after_warmup(self, update: int, updates: int) -> float:
        first = self.warmup + self.flat
        if update < first:
            return 1.0
        progress = _progress(update, first, updates)
        return self.floor + (1.0 - self.floor) * 0.5 * (1.0 + math.cos(math.pi * progress))


class LinearSchedule(Schedule):
    """A straight line down to `floor`."""

    kind: Literal["linear"] = "linear"
    floor: Share = 0.0
    """The share of the peak at the end."""

    def _after_warmup(self, update: int, updates: int) -> float:
        return 1.0 - (1.0 - self.floor) * _progress(update, self.warmup, updates)


class InverseSquareRootSchedule(Schedule):
    """Falls with the inverse square root of the updates (Vaswani et al. 2017, eq. 3, with a peak to
    choose).
    """

    kind: Literal["inverse-sqrt"] = "inverse-sqrt"
    warmup: int = Field(default=1, ge=1)
    """The number of updates over which the learning rate rises to its peak."""

    def _after_warmup(self, update: int, _updates: int) -> float:
        return math.sqrt(self.warmup / (update + 1))


class WarmupStableDecaySchedule(Schedule):
    """The peak until the last `decay` updates, then a straight line or 1 − √progress to `floor`.

    Hu et al. 2024, §4; Hägele et al. 2024, §3.
    """

    kind: Literal["warmup-stable-decay"] = "warmup-stable-decay"
    decay: int = Field(gt=0)
    """The number of updates at the end in which the learning rate falls."""

    shape: Literal["linear", "1-sqrt"] = "linear"
    """Whether it falls along a straight line or along 1 − √progress."""

    floor: Share = 0.0
    """The share of the peak at the end."""

    @property
    def least_updates(self) -> int:
        return self.warmup + self.decay

    def _after_warmup(self, update: int, updates: int) -> float:
        left = updates - update  # this update included
        if left > self.decay:
            return 1.0
        progress = (self.decay - left + 1) / self.decay
        fallen = progress if self.shape == "linear" else math.sqrt(progress)
        return 1.0 - (1.0 - self.floor) * fallen


ScheduleConfig = Annotated[
    ConstantSchedule
    | CosineSchedule
    | LinearSchedule
    | InverseSquareRootSchedule
    | WarmupStableDecaySchedule,
    Field(discriminator="kind"),
]


class LearningRateScaling(Config):
    """How the peak learning rate depends on the rows of an update: on their ratio to `batch` rows, on the
    square root of this ratio, or not at all.

    Linear: Goyal et al. 2017, §2.1; square root: Krizhevsky 2014, §5.
    """

    rule: Literal["none", "linear", "sqrt"] = "none"
    """How the learning rate grows with the rows of an update: not at all, linearly, or with the square root.
    """

    batch: int = Field(default=1, gt=0)
    """The number of rows for which the learning rate is meant."""

    def factor(self, rows: int) -> float:
        ratio = rows / self.batch
        match self.rule:
            case "none":
                return 1.0
            case "linear":
                return ratio
            case "sqrt":
                return math.sqrt(ratio)
