"""Evaluation on held-out text, in float32: the precision of a training must not be that of its ruler."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from harness.training.objective import MicroBatch, Objective
from harness.training.precision import Float32, Precision


@dataclass(frozen=True, slots=True)
class Evaluated:
    """Means over the counted targets of all batches (the loss in nats and the log of the softmax's
    denominator), and the number of these targets.
    """

    loss: float
    log_z: float
    tokens: int


def evaluate(objective: Objective, batches: Iterable[MicroBatch]) -> Evaluated:
    """Evaluate in float32, whatever the precision of the training, without dropout. Every target token has
    the same weight.

    Raises ValueError if no target counts.
    """
    with _in_float32(objective.model):
        return evaluate_in(Float32(), objective, batches)


def evaluate_in(precision: Precision, objective: Objective, batches: Iterable[MicroBatch]) -> Evaluated:
    """The same in the products of `precision`, with the weights as they are."""
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


@contextmanager
def _in_float32(model: nn.Module) -> Iterator[None]:
    """Weights of 16 bits are float32 in the block. Every number of 16 bits is a float32, so they are the same
    bits afterwards.
    """
    stored = next(model.parameters()).dtype
    if torch.promote_types(stored, torch.float32) == stored:
        yield
        return
    model.float()
    try:
        yield
    finally:
        model.to(stored)


def bits_per_byte(evaluated: Evaluated, size: int) -> float:
    """The loss per byte of a text of `size` bytes, whatever its tokens are."""
    return evaluated.loss * evaluated.tokens / size / math.log(2.0)


def perplexity(loss: float) -> float:
    """The perplexity of a loss in nats per token; infinite if it is too large for a float."""
    return math.exp(loss) if loss < 700 else math.inf
