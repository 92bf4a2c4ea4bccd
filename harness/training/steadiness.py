"""How steady a training was, from its curves, and when it counts as diverged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice
from statistics import median

import numpy as np
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
    updates: int = Field(default=50, gt=0)


def gradient_spikes(norms: Sequence[float]) -> int:
    """Updates whose gradient norm, before clipping, is above 3 × the median of the 50 finite norms before it.

    The spike score of OLMo 2 (arXiv 2501.00656) measures by a rolling mean and SD of the last 1,000 values.
    Of a few hundred updates there are no 1,000, and spikes raise the SD that they are measured by: so a short
    window, and its median. The first 10 norms judge only what follows. An infinite norm is what a gradient
    scaler skips, or the end of a training: no spike.
    """
    finite = [norm for norm in norms if math.isfinite(norm)]
    judged = islice(enumerate(finite), FEWEST_BEFORE, None)
    return sum(norm > SPIKE * median(finite[max(0, place - WINDOW) : place]) for place, norm in judged)


def late_loss_spread(losses: Sequence[float]) -> float | None:
    """SD of the losses around their straight line (least squares), over the last quarter of the updates, 8 at
    the fewest.

    The line is what is still learned, which is not unsteadiness. Batches scatter the loss too, but alike in
    every arm, as a seed gives them the same ones. None where fewer than 3 updates leave nothing to scatter.
    """
    late = np.asarray(losses[-max(FEWEST_LATE, len(losses) // 4) :], dtype=np.float64)
    if late.size < 3:
        return None
    steps = np.arange(late.size) - (late.size - 1) / 2
    around = late - late.mean() - steps * (steps @ late) / (steps @ steps)
    return float(np.sqrt(around @ around / (late.size - 2)))
