"""Evaluation against a plain reference, divergence, clipping, and what the loop reports."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness.training.loop import Batch, Recipe, Trained, evaluate, train
from harness.training.optim import AdamW
from harness.training.schedule import CosineSchedule
from models.config import ChunkedLogits, LossConfig, model_config
from models.init import build_model
from models.loss import loss_of_hidden

VOCABULARY = 7
Reported = list[tuple[str, float, int]]


class Bigram(nn.Module):
    """Logits that depend on one token alone, so that a reference can be written in a line."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.table = nn.Parameter(torch.randn(VOCABULARY, VOCABULARY, generator=generator))
        self.dropout = nn.Dropout(0.5)

    def forward(self, tokens: Tensor) -> Tensor:
        logits: Tensor = self.dropout(self.table[tokens])
        return logits


def batch(rows: int, length: int, seed: int) -> Batch:
    generator = np.random.default_rng(seed)
    size = (rows, length)
    return generator.integers(0, VOCABULARY, size), generator.integers(0, VOCABULARY, size)


def endless(seed: int = 0) -> Iterator[Batch]:
    while True:
        seed += 1
        yield batch(2, 5, seed)


def recipe(**settings: Any) -> Recipe:
    defaults: dict[str, Any] = {"updates": 4, "schedule": CosineSchedule(), "clip": 1.0, "evaluate_every": 3}
    return Recipe(**{**defaults, **settings})


def run(model: nn.Module, lr: float = 1e-2, **settings: Any) -> tuple[Trained, Reported]:
    reported: Reported = []
    trained = train(
        model,
        AdamW(lr=lr).build(model),
        endless(),
        recipe(**settings),
        evaluation=lambda: [batch(2, 5, 99)],
        report=lambda metric, value, step, /: reported.append((metric, value, step)),
    )
    return trained, reported


def test_evaluation_weighs_every_token_alike_and_skips_what_is_ignored() -> None:
    """Batches of 10, 3 and 0 counted tokens; the reference is float64, token by token."""
    model = Bigram()
    batches = [batch(2, 5, seed) for seed in range(3)]
    batches[1][1].flat[3:] = -100
    batches[2][1].flat[:] = -100
    table = model.table.detach().double().numpy()
    losses = [
        math.log(np.exp(table[token]).sum()) - table[token][target]
        for inputs, targets in batches
        for token, target in zip(inputs.flat, targets.flat, strict=True)
        if target != -100
    ]
    loss, tokens = evaluate(model.train(), [batches[0], batches[1]])
    assert tokens == len(losses) == 13
    assert loss == pytest.approx(np.mean(losses), rel=1e-6)
    assert model.training  # as it was found, dropout or not


def test_a_batch_in_which_nothing_counts_does_not_spoil_the_rest() -> None:
    model, (inputs, targets) = Bigram(), batch(2, 5, 0)
    nothing = (inputs, np.full_like(targets, -100))
    assert evaluate(model, [(inputs, targets), nothing]) == evaluate(model, [(inputs, targets)])


def test_nothing_to_evaluate_on_is_refused() -> None:
    inputs, targets = batch(2, 5, 0)
    with pytest.raises(ValueError, match="no target token"):
        evaluate(Bigram(), [(inputs, np.full_like(targets, -100))])


def test_every_update_is_reported_and_evaluation_comes_when_asked_for_and_last() -> None:
    trained, reported = run(Bigram(), updates=7, evaluate_every=3)
    for metric in ("loss", "gradient_norm", "learning_rate", "training_tokens_per_second"):
        assert [step for name, _, step in reported if name == metric] == list(range(7))
    assert [step for name, _, step in reported if name == "validation_loss"] == [2, 5, 6]
    assert trained == Trained(updates=7, training_tokens=70, evaluation_tokens=30, diverged=False)


def test_the_learning_rate_reported_is_the_one_that_the_optimizer_used() -> None:
    schedule = CosineSchedule(warmup=2, floor=0.1)
    _, reported = run(Bigram(), lr=0.5, updates=5, schedule=schedule)
    rates = [value for name, value, _ in reported if name == "learning_rate"]
    assert rates == [0.5 * schedule.factor(update, 5) for update in range(5)]


def test_the_gradient_is_clipped_and_its_norm_reported_as_it_was() -> None:
    seen: list[float] = []

    def look(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"]]
        seen.append(math.sqrt(sum(float((gradient**2).sum()) for gradient in gradients)))

    norms: dict[float | None, list[float]] = {}
    for clip in (None, 1e-3):
        model = Bigram().eval()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
        optimizer.register_step_pre_hook(look)
        reported: Reported = []
        train(
            model,
            optimizer,
            endless(),
            recipe(clip=clip, updates=2),
            evaluation=lambda: [batch(2, 5, 99)],
            report=lambda metric, value, step, /: reported.append((metric, value, step)),  # noqa: B023
        )
        norms[clip] = [value for metric, value, _ in reported if metric == "gradient_norm"]
    unclipped, clipped = seen[:2], seen[2:]
    assert all(norm > 0.01 for norm in unclipped)
    assert clipped == pytest.approx([1e-3, 1e-3], rel=1e-3)
    assert norms[None] == pytest.approx(unclipped)


def test_a_loss_that_is_not_finite_ends_training_and_is_kept() -> None:
    model = Bigram()
    with torch.no_grad():
        model.table[0] = math.nan
    trained, reported = run(model)
    assert trained.diverged
    assert trained.updates < 4
    last = [(name, step) for name, value, step in reported if name == "loss" and not math.isfinite(value)]
    assert last == [("loss", trained.updates - 1)]
    assert not [name for name, _, _ in reported if name == "validation_loss"]


def test_logits_in_chunks_train_like_whole_ones() -> None:
    whole, chunked = _curve(LossConfig()), _curve(LossConfig(logits=ChunkedLogits(positions=3)))
    assert len(whole) == 21
    assert chunked == pytest.approx(whole, rel=1e-4)


def _curve(settings: LossConfig) -> list[float]:
    """Losses of twenty updates, and of the evaluation after them."""
    sizes = {"d_model": 16, "n_layers": 1, "n_heads": 2, "d_ff": 32, "max_positions": 8}
    model = build_model(model_config(sizes, vocab_size=VOCABULARY), 0)
    reported: Reported = []
    train(
        model,
        AdamW(lr=1e-2).build(model),
        endless(),
        recipe(updates=20, evaluate_every=20),
        evaluation=lambda: [batch(2, 5, 99)],
        report=lambda *sample: reported.append(sample),
        loss_of=lambda inputs, targets: loss_of_hidden(model.hidden(inputs), model.output, targets, settings),
    )
    return [value for metric, value, _ in reported if metric in ("loss", "validation_loss")]
