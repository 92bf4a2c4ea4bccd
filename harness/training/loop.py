"""The training loop: forward, backward, clip, step, schedule; evaluation off the clock."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from harness.telemetry.clock import Clock
from models.loss import cross_entropy

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from harness.training.schedule import CosineSchedule

Batch = tuple[
    "np.ndarray[tuple[int, int], np.dtype[np.int64]]", "np.ndarray[tuple[int, int], np.dtype[np.int64]]"
]


TokenLoss = Callable[[Tensor, Tensor], Tensor]
"""Inputs and targets, each (B, T), to the mean loss a target token, a scalar."""


class Report(Protocol):
    """Where the loop's raw values go."""

    def __call__(self, metric: str, value: float, step: int, /) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What the loop needs beside model and data; `clip` is the largest global gradient norm, None for no clipping."""

    updates: int
    schedule: CosineSchedule
    clip: float | None
    evaluate_every: int


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What training spent: counts of updates and of target tokens."""

    updates: int
    training_tokens: int
    evaluation_tokens: int
    diverged: bool


def train(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Iterator[Batch],
    recipe: Recipe,
    *,
    evaluation: Callable[[], Iterable[Batch]],
    report: Report,
    loss_of: TokenLoss | None = None,
) -> Trained:
    """Train in place and report loss, gradient norm, learning rate and speed of every update.

    Batches are pairs of int64 arrays (B, T): inputs and targets. A loss that is not finite ends training as `diverged`.
    `loss_of` is a faster way to the cross-entropy of the model's logits, which is what is computed without it.
    """
    device = next(model.parameters()).device
    clock = Clock(str(device))
    peaks = [float(group["lr"]) for group in optimizer.param_groups]
    training_tokens = evaluation_tokens = 0
    model.train()
    for update in range(recipe.updates):
        started = clock.now_ns()
        factor = recipe.schedule.factor(update, recipe.updates)
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * factor
        inputs, targets = (torch.from_numpy(array).to(device) for array in next(batches))
        loss = cross_entropy(model(inputs), targets) if loss_of is None else loss_of(inputs, targets)
        torch.autograd.backward(loss)
        norm = nn.utils.clip_grad_norm_(
            model.parameters(), recipe.clip if recipe.clip is not None else math.inf
        )
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        value = loss.item()
        seconds = (clock.now_ns() - started) / 1e9
        training_tokens += targets.numel()
        report("loss", value, update)
        report("gradient_norm", norm.item(), update)
        report("learning_rate", peaks[0] * factor, update)
        report("training_tokens_per_second", targets.numel() / seconds, update)
        if not math.isfinite(value):
            return Trained(
                updates=update + 1,
                training_tokens=training_tokens,
                evaluation_tokens=evaluation_tokens,
                diverged=True,
            )
        if (update + 1) % recipe.evaluate_every == 0 or update + 1 == recipe.updates:
            held_out, tokens = evaluate(model, evaluation())
            evaluation_tokens += tokens
            report("validation_loss", held_out, update)
    return Trained(
        updates=recipe.updates,
        training_tokens=training_tokens,
        evaluation_tokens=evaluation_tokens,
        diverged=False,
    )


@torch.no_grad()
def evaluate(model: nn.Module, batches: Iterable[Batch]) -> tuple[float, int]:
    """Loss in nats averaged over the target tokens of all batches (targets of −100 are not counted), and their number."""
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    total, tokens = 0.0, 0
    for inputs, targets in batches:
        count = int((targets != -100).sum())
        logits = model(torch.from_numpy(inputs).to(device))
        total += cross_entropy(logits, torch.from_numpy(targets).to(device)).item() * count
        tokens += count
    model.train(was_training)
    if not tokens:
        raise ValueError("no target token to evaluate on")
    return total / tokens, tokens
