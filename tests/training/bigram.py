"""A model whose logits depend on one token alone, so that references can be written in a line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.models.config import LossConfig
from harness.models.embedding import OutputProjection
from harness.training.loop import Costs, LoopSettings, Trained, Training
from harness.training.objective import MicroBatch, Objective
from harness.training.optim import AdamW, OptimizerSettings
from harness.training.precision import Float32, Precision
from harness.training.schedule import CosineSchedule
from harness.training.update import Updater

VOCABULARY = 7
Reported = list[tuple[str, float, int]]


class Bigram(nn.Module):
    """`table[token]` are the logits after `token`, half of them dropped in training."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.table = nn.Parameter(torch.randn(VOCABULARY, VOCABULARY, generator=generator))
        self.dropout = nn.Dropout(0.5)

    def hidden(self, tokens: Tensor) -> Tensor:
        hidden: Tensor = self.dropout(F.one_hot(tokens, VOCABULARY).to(self.table.dtype))
        return hidden

    @property
    def output(self) -> OutputProjection:
        return OutputProjection(weight=self.table.T, bias=None, scale=1.0, soft_cap=None)


class Stream:
    """Random batches, each a function of its place."""

    def __init__(self, rows: int = 2, length: int = 5) -> None:
        self._shape, self._position = (rows, length), 0

    def __iter__(self) -> Iterator[MicroBatch]:
        return self

    def __next__(self) -> MicroBatch:
        self._position += 1
        return batch(*self._shape, seed=self._position)

    def state(self) -> dict[str, int]:
        return {"position": self._position}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._position = state["position"]


def batch(rows: int, length: int, seed: int) -> MicroBatch:
    generator = np.random.default_rng(seed)
    size = (rows, length)
    return generator.integers(0, VOCABULARY, size), generator.integers(0, VOCABULARY, size)


def updater(
    model: nn.Module,
    optimizer: OptimizerSettings | torch.optim.Optimizer | None = None,
    *,
    precision: Precision | None = None,
    clip: float | None = 1.0,
    loss: LossConfig | None = None,
) -> Updater:
    if not isinstance(optimizer, torch.optim.Optimizer):
        optimizer = (optimizer or AdamW(lr=1e-2)).build(model)
    objective = Objective(model, loss or LossConfig())
    return Updater(objective, optimizer, precision=precision or Float32(), clip=clip)


def training(made: Updater, reported: Reported, **settings: Any) -> Training:
    defaults: dict[str, Any] = {"updates": 4, "schedule": CosineSchedule(), "evaluate_every": 3}
    return Training(
        made,
        Stream(),
        LoopSettings(**{**defaults, **settings}),
        evaluation=lambda: [batch(2, 5, 99)],
        report=lambda metric, value, step, /: reported.append((metric, value, step)),
        costs=Costs(chance=np.log(VOCABULARY), flops_of=lambda part: 6.0 * part[0].size, peak_flops=1e9),
    )


def run(made: Updater, **settings: Any) -> tuple[Trained, Reported]:
    reported: Reported = []
    return training(made, reported, **settings).run(), reported


def values(reported: Reported, metric: str) -> list[float]:
    return [value for name, value, _ in reported if name == metric]
