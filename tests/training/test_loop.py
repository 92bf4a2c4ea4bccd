"""Evaluation against a plain reference, divergence, clipping, and what the loop reports."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from harness.models.config import ChunkedLogits, LossConfig
from harness.models.init import build_model
from harness.training.evaluation import evaluate
from harness.training.objective import Objective
from harness.training.optim import AdamW, ScheduleFreeAdamW
from harness.training.precision import Float16Scaled, Float32
from harness.training.schedule import ConstantSchedule, CosineSchedule
from harness.training.steadiness import Divergence
from tests.models.configs import model_config
from tests.training.bigram import VOCABULARY, Bigram, Stream, batch, run, updater, values

EVERY_UPDATE = (
    "loss",
    "training_log_z",
    "gradient_norm",
    "clipped_gradient_norm",
    "learning_rate",
    "update_seconds",
    "data_seconds",
    "training_tokens_per_second",
    "mfu",
)


def objective(model: Bigram) -> Objective:
    return Objective(model, LossConfig(label_smoothing=0.3, z_loss=0.1))


def test_evaluation_weighs_every_token_alike_and_skips_what_is_ignored() -> None:
    """Batches of 10, 3 and 0 counted tokens; the reference is float64, token by token, without smoothing or
    z-loss.
    """
    model = Bigram()
    batches = [batch(2, 5, seed) for seed in range(3)]
    batches[1][1].flat[3:] = -100
    batches[2][1].flat[:] = -100
    table = model.table.detach().double().numpy()
    counted = [
        (token, target)
        for inputs, targets in batches
        for token, target in zip(inputs.flat, targets.flat, strict=True)
        if target != -100
    ]
    log_z = [math.log(np.exp(table[token]).sum()) for token, _ in counted]
    losses = [z - table[token][target] for z, (token, target) in zip(log_z, counted, strict=True)]
    evaluation = evaluate(objective(model.train()), batches)
    assert evaluation.tokens == len(losses) == 13
    assert evaluation.loss == pytest.approx(np.mean(losses), rel=1e-6)
    assert evaluation.log_z == pytest.approx(np.mean(log_z), rel=1e-6)
    assert model.training  # as it was found, dropout or not


def test_nothing_to_evaluate_on_is_refused() -> None:
    inputs, targets = batch(2, 5, 0)
    with pytest.raises(ValueError, match="no target token"):
        evaluate(objective(Bigram()), [(inputs, np.full_like(targets, -100))])


def test_every_update_is_reported_and_evaluation_comes_when_asked_for_and_last() -> None:
    trained, reported = run(updater(Bigram()), updates=7, evaluate_every=3)
    for metric in EVERY_UPDATE:
        assert [step for name, _, step in reported if name == metric] == list(range(7))
    for metric in ("validation_loss", "validation_perplexity", "log_z", "zero_gradients"):
        assert [step for name, _, step in reported if name == metric] == [2, 5, 6]
    assert values(reported, "skipped_updates") == [0]
    assert (trained.updates, trained.applied_updates, trained.training_tokens) == (7, 7, 70)
    assert (trained.evaluation_tokens, trained.flops, trained.diverged) == (30, 7 * 60.0, False)
    assert trained.seconds == pytest.approx(sum(values(reported, "update_seconds")))
    held_out = values(reported, "validation_loss")
    assert values(reported, "validation_perplexity") == pytest.approx([math.exp(loss) for loss in held_out])


def test_evaluation_is_off_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock that only batches of the data advance by 1 s, and evaluation by 1000."""
    now = 0.0
    monkeypatch.setattr("time.perf_counter_ns", lambda: int(now * 1e9))

    def passes(seconds: float, original: Any) -> Any:
        def call(*arguments: Any) -> Any:
            nonlocal now
            now += seconds
            return original(*arguments)

        return call

    made = updater(Bigram())
    monkeypatch.setattr(made.objective, "summed", passes(1000.0, made.objective.summed))
    monkeypatch.setattr(Stream, "__next__", passes(1.0, Stream.__next__))
    trained, reported = run(made, updates=7, evaluate_every=3)
    assert values(reported, "update_seconds") == [1.0] * 7
    assert trained.seconds == 7.0
    assert now > 3000


def test_rates_follow_from_seconds() -> None:
    _, reported = run(updater(Bigram()), accumulate=3)
    seconds = values(reported, "update_seconds")
    assert values(reported, "training_tokens_per_second") == pytest.approx([30 / one for one in seconds])
    assert values(reported, "mfu") == pytest.approx([3 * 60.0 / one / 1e9 for one in seconds])
    assert all(
        0 < data < update for data, update in zip(values(reported, "data_seconds"), seconds, strict=True)
    )


def test_the_learning_rate_reported_is_the_one_that_the_optimizer_used() -> None:
    schedule = CosineSchedule(warmup=2, floor=0.1)
    made, used = updater(Bigram(), AdamW(lr=0.5)), []
    made.optimizer.register_step_pre_hook(
        lambda optimizer, *_: used.append([group["lr"] for group in optimizer.param_groups])
    )
    _, reported = run(made, updates=5, schedule=schedule, accumulate=2)
    rates = values(reported, "learning_rate")
    assert rates == [0.5 * schedule.factor(update, 5) for update in range(5)]
    assert used == [[rate] for rate in rates]


def test_the_gradient_is_clipped_and_its_norms_reported_as_they_were() -> None:
    seen: list[float] = []

    def look(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"]]
        seen.append(math.sqrt(sum(float((gradient**2).sum()) for gradient in gradients)))

    reported = {}
    for clip in (None, 1e-3):
        model = Bigram()
        model.dropout.p = 0.0
        optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
        optimizer.register_step_pre_hook(look)
        _, reported[clip] = run(updater(model, optimizer, clip=clip), updates=2)
    unclipped, clipped = seen[:2], seen[2:]
    assert all(norm > 0.01 for norm in unclipped)
    assert clipped == pytest.approx([1e-3, 1e-3], rel=1e-3)
    for clip, after in ((None, unclipped), (1e-3, clipped)):
        assert values(reported[clip], "gradient_norm") == pytest.approx(unclipped)
        assert values(reported[clip], "clipped_gradient_norm") == pytest.approx(after, rel=1e-3)


@pytest.mark.parametrize(
    "precision", [Float32(), Float16Scaled(initial_scale=1024.0)], ids=lambda how: how.kind
)
def test_the_clipped_norm_is_measured_so_a_bug_in_clipping_shows(
    precision: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def norms() -> tuple[list[float], list[float]]:
        model = Bigram()
        model.dropout.p = 0.0
        _, reported = run(updater(model, precision=precision, clip=1e-3), updates=3)
        return values(reported, "gradient_norm"), values(reported, "clipped_gradient_norm")

    before, after = norms()
    assert after == pytest.approx([1e-3] * 3, rel=1e-2)
    monkeypatch.setattr(torch.nn.utils, "clip_grads_with_norm_", lambda *_: None)
    unclipped, not_clipped = norms()
    assert unclipped[0] == pytest.approx(before[0])
    assert not_clipped == pytest.approx(unclipped, rel=1e-5)
    assert min(not_clipped) > 0.01


def test_a_loss_that_is_not_finite_ends_training_and_is_kept() -> None:
    model = Bigram()
    with torch.no_grad():
        model.table[0] = math.nan
    trained, reported = run(updater(model))
    assert trained.diverged
    assert trained.updates < 4
    last = [(name, step) for name, value, step in reported if name == "loss" and not math.isfinite(value)]
    assert last == [("loss", trained.updates - 1)]
    assert not values(reported, "validation_loss")


def test_a_last_update_after_which_no_loss_is_finite_is_a_divergence() -> None:
    """Its own loss is from before the step; what shows it is the evaluation that follows."""
    model = Bigram()
    made = updater(model)

    def break_down(*_: Any) -> None:
        if made.attempted == 3:
            model.table.data.fill_(math.nan)

    made.optimizer.register_step_post_hook(break_down)
    trained, reported = run(made, updates=4, evaluate_every=4)
    assert all(map(math.isfinite, values(reported, "loss")))
    assert (trained.diverged, trained.updates) == (True, 4)
    assert not values(reported, "validation_loss")


@pytest.mark.parametrize(("bound", "diverged"), [(1.5, True), (None, False)])
def test_a_loss_that_stays_far_above_chance_is_a_divergence(bound: float | None, *, diverged: bool) -> None:
    model = Bigram()
    with torch.no_grad():
        model.table.mul_(100)
    rule = None if bound is None else Divergence(times_chance=bound, updates=3)
    made = updater(model, torch.optim.SGD(model.parameters(), lr=0.0))
    trained, reported = run(made, updates=9, evaluate_every=9, divergence=rule)
    assert trained.diverged is diverged
    assert trained.updates == len(values(reported, "loss")) == (3 if diverged else 9)


def test_a_loss_that_comes_down_in_time_is_none() -> None:
    """High for two updates of the three that count, then at chance, then high again for two."""
    model = Bigram()
    model.dropout.p = 0.0
    high, low = model.table.detach() * 100, torch.zeros_like(model.table)
    made = updater(model, torch.optim.SGD(model.parameters(), lr=0.0))

    def replace(*_: Any) -> None:
        """After the step of update `attempted`, for the one that follows."""
        model.table.data = low if made.attempted in (1, 4) else high

    model.table.data = high
    made.optimizer.register_step_post_hook(replace)
    trained, reported = run(
        made, updates=6, evaluate_every=9, divergence=Divergence(times_chance=1.5, updates=3)
    )
    assert not trained.diverged
    above = [loss > 1.5 * math.log(VOCABULARY) for loss in values(reported, "loss")]
    assert above == [True, True, False, True, True, False]


def test_schedule_free_is_evaluated_on_its_averages_and_trained_on_the_rest() -> None:
    model = Bigram()
    made = updater(model, ScheduleFreeAdamW(lr=0.3))
    evaluated: list[torch.Tensor] = []
    original = made.objective.summed

    def look(tensors: Any) -> Any:
        evaluated.append(model.table.detach().clone())
        return original(tensors)

    made.objective.summed = look  # type: ignore[assignment, method-assign]
    run(made, updates=4, evaluate_every=4, schedule=ConstantSchedule())
    assert not torch.allclose(evaluated[0], model.table)
    made.optimizer.eval()  # type: ignore[attr-defined]
    torch.testing.assert_close(evaluated[0], model.table)


def test_logits_in_chunks_train_like_whole_ones() -> None:
    at_once, chunked = _curve(LossConfig()), _curve(LossConfig(logits=ChunkedLogits(positions=3)))
    assert len(at_once) == 21
    assert chunked == pytest.approx(at_once, rel=1e-4)


def _curve(settings: LossConfig) -> list[float]:
    """Losses of twenty updates, and of the evaluation after them."""
    sizes = {"d_model": 16, "n_layers": 1, "n_heads": 2, "d_ff": 32, "max_positions": 8}
    model = build_model(model_config(sizes, vocab_size=VOCABULARY), 0)
    _, reported = run(updater(model, loss=settings), updates=20, evaluate_every=20)
    return [value for metric, value, _ in reported if metric in ("loss", "validation_loss")]
