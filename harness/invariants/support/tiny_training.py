"""Short trainings, all of whose values can be compared."""

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

MicroBatches = Sequence[MicroBatch]
"""The micro-batches of one update."""


def tiny_updater(
    model: nn.Module, *, optimizer: OptimizerSettings | None = None, clip: float = 1.0
) -> Updater:
    """An updater for a model in training mode, with AdamW by default."""
    objective = Objective(model.train(), LossConfig(label_smoothing=0.1, z_loss=1e-3))
    built = (optimizer or AdamW(lr=1e-2)).build(model)
    return Updater(objective, built, precision=Float32(), clip=clip)


def random_batch(
    seed: int, *, rows: int = 3, counts: Sequence[int] | None = None, source: bool = False
) -> MicroBatch:
    """Inputs and targets, and for a translator also a source. `counts` are the numbers of counted targets per
    row; without it all targets count.
    """
    generator = np.random.default_rng(seed)
    size = (rows, LENGTH)
    targets = generator.integers(0, VOCABULARY, size)
    for row, count in enumerate(counts or ()):
        targets[row, count:] = IGNORED_TARGET
    batch = generator.integers(0, VOCABULARY, size), targets
    return (generator.integers(1, VOCABULARY, (rows, 7)), *batch) if source else batch


def gradients(updater: Updater, micro_batches: MicroBatches) -> dict[str, Tensor]:
    """The gradient of every parameter and the loss of an update, which is not applied."""
    model = updater.objective.model
    with seeded(model):
        loss = updater.accumulate(micro_batches, [counted(batch) for batch in micro_batches]).mean
    by_name = {f"gradient of {name}": grad for name, grad in _gradients(model)}
    updater.optimizer.zero_grad(set_to_none=True)
    return {**by_name, "loss": loss.to(next(model.parameters()).dtype)}


def training_values(updater: Updater, updates: Sequence[MicroBatches]) -> dict[str, Tensor]:
    """The losses and norms of some updates, the final parameters, and the next random number."""
    model = updater.objective.model
    dtype = next(model.parameters()).dtype
    values: dict[str, Tensor] = {}
    with seeded(model):
        for number, micro_batches in enumerate(updates, start=1):
            update = updater(micro_batches)
            values[f"loss of update {number}"] = update.loss.to(dtype)
            values[f"gradient norm of update {number}"] = update.norm.to(dtype)
        after = torch.rand(1, dtype=torch.float32, device=updater.objective.device).to(dtype)
    return {**parameters(model), **values, "next random number": after}


def parameters(model: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def tolerances_for(updater: Updater, tolerances: Mapping[str, float]) -> dict[str, float]:
    """The tolerances, with that of the products' precision for weights of any precision."""
    computed, weights = updater.precision.computed, updater.precision.master_weights
    return {**tolerances, weights: tolerances[computed]}


def _gradients(model: nn.Module) -> list[tuple[str, Tensor]]:
    named = ((name, parameter.grad) for name, parameter in model.named_parameters())
    return [(name, gradient.clone()) for name, gradient in named if gradient is not None]


@contextmanager
def seeded(model: nn.Module) -> Iterator[None]:
    """The same random numbers for dropout each time; the generator's state is restored afterwards."""
    device = next(model.parameters()).device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(0)
        yield


def without_dropout(config: Config) -> Config:
    """The config without dropout, for comparisons of layouts that would draw different random numbers."""
    attention = config.attention.model_copy(update={"dropout": None})
    return config.model_copy(update={"dropout": 0.0, "attention": attention})
