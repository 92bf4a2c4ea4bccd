"""How steady a training was, from its curves, and when it counts as diverged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice
from statistics import median

from pydantic import Field

from harness.config import Config

SPIKE = 3.0
WINDOW = 50
FEWEST_BEFORE = 10
FEWEST_LATE = 8


class Divergence(Config):
    """When a training counts as diverged: at a loss that is not finite, or after `updates` updates in a row
    whose loss is above `times_chance` times chance.

    Chance is the loss of a uniform guess, ln(vocabulary) nats.
    """

    times_chance: float = Field(default=3.0, gt=1.0, allow_inf_nan=False)
    """A loss of this many times the loss of a uniform guess counts as too high."""

    updates: int = Field(default=50, gt=0)
    """The number of updates in a row with too high a loss after which a training has diverged."""


def gradient_spikes(norms: Sequence[float]) -> int:
    """Updates whose gradient norm, before clipping, is above 3 × the median of the 50 finite norms before it.

    The spike score of OLMo 2 (arXiv 2501.00656) uses the rolling mean and SD of the last 1,000 values. Short
    trainings do not have 1,000 updates, and spikes raise the SD that judges them. Hence a short window and
    its median. The first 10 norms are not judged. An infinite norm is not a spike: a gradient scaler skips
    it, or the training ends.
    """
    finite = [norm for norm in norms if math.isfinite(norm)]
    judged = islice(enumerate(finite), FEWEST_BEFORE, None)
    return sum(norm > SPIKE * median(finite[max(0, index - WINDOW) : index]) for index, norm in judged)


def late_loss_spread(losses: Sequence[float]) -> float | None:
    """SD of the losses around a straight line (least squares), over the last quarter of the updates (at
    least 8).

    The line is what the model still learns, which is not unsteadiness. Batches scatter the loss, too, but in
    the same way in every arm, because a seed fixes the batches. None if there are fewer than 3 updates.
    """
    import numpy as np  # the config of a training is read without it

    late = np.asarray(losses[-max(FEWEST_LATE, len(losses) // 4) :], dtype=np.float64)
    if late.size < 3:
        return None
    steps = np.arange(late.size) - (late.size - 1) / 2
    around = late - late.mean() - steps * (steps @ late) / (steps @ steps)
    return float(np.sqrt(around @ around / (late.size - 2)))
