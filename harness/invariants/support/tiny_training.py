"""Short trainings whose every value can be compared. Imported when checks run, never to list them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from harness.invariants.support.tiny_models import VOCABULARY
from harness.models.config import IGNORED_TARGET, Architecture, LossConfig
from harness.training.objective import MicroBatch, Objective, counted
from harness.training.optim import AdamW, OptimizerSettings
from harness.training.precision import Float32
from harness.training.update import Updater

LENGTH = 12

Config = TypeVar("Config", bound=Architecture)

Update = Sequence[MicroBatch]
"""The micro-batches of one update."""


def tiny_updater(
    model: nn.Module, *, optimizer: OptimizerSettings | None = None, clip: float = 1.0
) -> Updater:
    """A model in training mode, with AdamW unless told otherwise."""
    objective = Objective(model.train(), LossConfig(label_smoothing=0.1, z_loss=1e-3))
    built = (optimizer or AdamW(lr=1e-2)).build(model)
    return Updater(objective, built, precision=Float32(), clip=clip)


def random_batch(
    seed: int, *, rows: int = 3, counts: Sequence[int] | None = None, source: bool = False
) -> MicroBatch:
    """Inputs and targets, after a source for a translator; with `counts` a row has so many targets that
    count.
    """
    generator = np.random.default_rng(seed)
    size = (rows, LENGTH)
    targets = generator.integers(0, VOCABULARY, size)
    for row, count in enumerate(counts or ()):
        targets[row, count:] = IGNORED_TARGET
    batch = generator.integers(0, VOCABULARY, size), targets
    return (generator.integers(1, VOCABULARY, (rows, 7)), *batch) if source else batch


def gradients(updater: Updater, micro_batches: Update) -> dict[str, Tensor]:
    """The gradient of every parameter and the loss, of one update that is not made."""
    model = updater.objective.model
    with seeded(model):
        loss = updater.accumulate(micro_batches, [counted(batch) for batch in micro_batches]).mean
    found = {f"gradient of {name}": grad for name, grad in _gradients(model)}
    updater.optimizer.zero_grad(set_to_none=True)
    return {**found, "loss": loss.to(next(model.parameters()).dtype)}


def trained(updater: Updater, updates: Sequence[Update]) -> dict[str, Tensor]:
    """Losses and norms of some updates, the last parameters, and the generator's next random number."""
    model = updater.objective.model
    dtype = next(model.parameters()).dtype
    found: dict[str, Tensor] = {}
    with seeded(model):
        for number, micro_batches in enumerate(updates, start=1):
            update = updater(micro_batches)
            found[f"loss of update {number}"] = update.loss.to(dtype)
            found[f"gradient norm of update {number}"] = update.norm.to(dtype)
        after = torch.rand(1, dtype=torch.float32, device=updater.objective.device).to(dtype)
    return {**parameters(model), **found, "next random number": after}


def parameters(model: nn.Module) -> dict[str, Tensor]:
    return {name: each.detach().clone() for name, each in model.named_parameters()}


def tolerances_for(updater: Updater, tolerances: Mapping[str, float]) -> dict[str, float]:
    """The tolerance of the type that products are computed in, whatever the weights are kept in."""
    computed, kept = updater.precision.computed, updater.precision.master_weights
    if computed == kept:
        return dict(tolerances)
    return {**tolerances, kept: tolerances[computed]}


def _gradients(model: nn.Module) -> list[tuple[str, Tensor]]:
    found = ((name, each.grad) for name, each in model.named_parameters())
    return [(name, grad.clone()) for name, grad in found if grad is not None]


@contextmanager
def seeded(model: nn.Module) -> Iterator[None]:
    """Dropout from the same state of the generator each time, which is left where it was."""
    device = next(model.parameters()).device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(0)
        yield


def without_dropout(config: Config) -> Config:
    """The same model, for comparisons in which no two layouts could draw alike."""
    attention = config.attention.model_copy(update={"dropout": None})
    return config.model_copy(update={"dropout": 0.0, "attention": attention})
