"""Evaluation on held-out text, off the clock."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from harness.training.objective import MicroBatch, Objective
from harness.training.precision import Precision


@dataclass(frozen=True, slots=True)
class Evaluated:
    """Means over the counted targets of all batches: loss in nats, log of the softmax's denominator; and
    their number.
    """

    loss: float
    log_z: float
    tokens: int


def evaluate(objective: Objective, batches: Iterable[MicroBatch], precision: Precision) -> Evaluated:
    """In the precision of training, dropout off. Every token weighs alike. ValueError: no target counts."""
    model = objective.model
    was_training = model.training
    model.eval()
    loss = log_z = 0.0
    tokens = 0
    for batch in batches:
        with precision.autocast(str(objective.device)):
            sums = objective.summed(objective.tensors(batch))
        loss, log_z, tokens = loss + sums.loss, log_z + sums.log_z, tokens + sums.tokens
    model.train(was_training)
    if not tokens:
        raise ValueError("no target token to evaluate on")
    return Evaluated(loss=loss / tokens, log_z=log_z / tokens, tokens=tokens)


def perplexity(loss: float) -> float:
    """Of a loss in nats a token; infinite rather than an error beyond what a float holds."""
    return math.exp(loss) if loss < 700 else math.inf
