"""Evaluation on held-out text."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from harness.training.objective import MicroBatch, Objective
from harness.training.precision import Precision


@dataclass(frozen=True, slots=True)
class Evaluated:
    """Means over the counted targets of all batches (the loss in nats and the log of the softmax's
    denominator), and the number of these targets.
    """

    loss: float
    log_z: float
    tokens: int


def evaluate(objective: Objective, batches: Iterable[MicroBatch], precision: Precision) -> Evaluated:
    """Evaluate in the precision of training, without dropout. Every target token has the same weight.

    Raises ValueError if no target counts.
    """
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
        raise ValueError("there is no target token to evaluate on")
    return Evaluated(loss=loss / tokens, log_z=log_z / tokens, tokens=tokens)


def perplexity(loss: float) -> float:
    """The perplexity of a loss in nats per token; infinite if it is too large for a float."""
    return math.exp(loss) if loss < 700 else math.inf
