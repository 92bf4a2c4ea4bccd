"""One update: micro-batches against the big batch, precisions, loss scaling and what it skips."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from harness.models.config import ChunkedLogits, LossConfig
from harness.models.init import build_model
from harness.models.loss import Loss
from harness.models.transformer import Transformer
from harness.training.evaluation import evaluate
from harness.training.objective import MicroBatch, Objective
from harness.training.optim import SGD, AdamW
from harness.training.precision import BFloat16, BFloat16Autocast, Float16Autocast, Float16Scaled, Float32
from harness.training.schedule import CosineSchedule
from tests.models.configs import model_config
from tests.training.bigram import VOCABULARY, batch, run, updater, values

SIZES = {"d_model": 16, "n_layers": 2, "n_heads": 2, "d_ff": 32, "max_positions": 8}
VALID = (3, 17, 40)


def small(dtype: torch.dtype = torch.float32) -> Transformer:
    return build_model(model_config(SIZES, vocab_size=VOCABULARY), 0, dtype=dtype)


def uneven() -> list[MicroBatch]:
    """Micro-batches of 8 × 5 tokens, of which 3, 17 and 40 count."""
    parts = [batch(8, 5, seed) for seed in range(3)]
    for (_, targets), valid in zip(parts, VALID, strict=True):
        targets.flat[valid:] = -100
    return parts


def gradients(
    model: nn.Module, micro_batches: list[MicroBatch], **settings: Any
) -> tuple[float, list[torch.Tensor]]:
    made = updater(model, SGD(lr=1.0), **settings)
    tokens = [int((targets != -100).sum()) for _, targets in micro_batches]
    loss = made.accumulate(micro_batches, tokens).mean.item()
    gradients = [parameter.grad for parameter in model.parameters()]
    assert all(gradient is not None for gradient in gradients)
    return loss, [gradient for gradient in gradients if gradient is not None]


@pytest.mark.parametrize(
    "loss", [LossConfig(label_smoothing=0.1, z_loss=1e-2), LossConfig(logits=ChunkedLogits(positions=7))]
)
def test_micro_batches_are_one_big_batch_token_by_token(loss: LossConfig) -> None:
    """In float64, where a mean of the micro-batches' means would differ in the first digit."""
    parts = uneven()
    together = tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    small_loss, accumulated = gradients(small(torch.float64), parts, loss=loss)
    big_loss, at_once = gradients(small(torch.float64), [together], loss=loss)
    assert small_loss == pytest.approx(big_loss, rel=1e-12)
    for one, other in zip(accumulated, at_once, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12 * float(other.abs().max()))
    means = np.mean([gradients(small(torch.float64), [part], loss=loss)[0] for part in parts])
    assert means != pytest.approx(big_loss, rel=1e-3)


@pytest.mark.parametrize(
    "loss",
    [
        LossConfig(),
        LossConfig(label_smoothing=0.1, z_loss=1e-2),
        LossConfig(logits=ChunkedLogits(positions=7)),
    ],
)
def test_log_z_of_an_update_is_the_mean_over_its_targets(loss: LossConfig) -> None:
    model, parts = small(torch.float64), uneven()
    expected = evaluate(Objective(model, LossConfig()), parts).log_z
    assert updater(model, SGD(lr=1.0), loss=loss)(parts).log_z.item() == pytest.approx(expected, rel=1e-6)


def test_a_micro_batch_in_which_nothing_counts_changes_nothing() -> None:
    inputs, targets = batch(8, 5, 9)
    with_nothing = [*uneven(), (inputs, np.full_like(targets, -100))]
    _, expected = gradients(small(), uneven())
    _, observed = gradients(small(), with_nothing)
    for one, other in zip(observed, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("precision", "weights"),
    [
        (Float32(), torch.float32),
        (BFloat16Autocast(), torch.float32),
        (Float16Autocast(), torch.float32),
        (Float16Scaled(initial_scale=1024.0), torch.float32),
        (BFloat16(), torch.bfloat16),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_each_precision_trains_and_keeps_its_master_weights(precision: Any, weights: torch.dtype) -> None:
    assert precision.weights_dtype == weights
    made = updater(small(weights), AdamW(lr=1e-2), precision=precision)
    _, reported = run(made, updates=20, evaluate_every=20)
    losses = values(reported, "loss")
    assert losses[0] == pytest.approx(math.log(VOCABULARY), abs=0.05)
    assert all(math.isfinite(loss) for loss in losses)
    assert {parameter.dtype for parameter in made.objective.model.parameters()} == {weights}
    states = [tensor for state in made.optimizer.state.values() for tensor in state.values() if tensor.ndim]
    assert {tensor.dtype for tensor in states} == {weights}
    assert made.applied == made.attempted == 20


@pytest.mark.parametrize("precision", [BFloat16Autocast(), Float16Autocast()])
def test_products_are_in_the_precision_that_is_asked_for(precision: Any) -> None:
    model, seen = small(), set()
    for module in model.modules():
        if isinstance(module, nn.Linear):
            module.register_forward_hook(lambda _module, _inputs, output: seen.add(output.dtype))
    updater(model, precision=precision)([batch(2, 5, 0)])
    assert seen == {precision.products_dtype}


def test_gradients_that_are_not_finite_are_skipped_and_the_schedule_waits() -> None:
    """Infinity in the gradients of the fourth update: it is tried, not applied, and the fifth learns at its
    rate.
    """
    model = small()
    made = updater(model, AdamW(lr=1e-2), precision=Float16Scaled(initial_scale=8.0))
    weight = next(model.parameters())
    weight.register_hook(  # type: ignore[no-untyped-call]
        lambda grad: torch.full_like(grad, math.inf) if made.attempted == 3 else None
    )
    before: dict[int, list[torch.Tensor]] = {}
    schedule = CosineSchedule(warmup=2)
    factors = [schedule.factor(applied, 6) for applied in (0, 1, 2, 3, 3, 4)]
    original = made.set_rate

    def look(factor: float) -> float:
        before[made.attempted] = [parameter.detach().clone() for parameter in model.parameters()]
        return original(factor)

    made.set_rate = look  # type: ignore[method-assign]
    trained, reported = run(made, updates=6, evaluate_every=6, schedule=schedule)
    assert (made.attempted, made.applied) == (trained.updates, trained.applied_updates) == (6, 5)
    assert values(reported, "skipped_updates") == [1]
    assert values(reported, "learning_rate") == [1e-2 * factor for factor in factors]
    assert made.scaler is not None
    assert made.scaler.get_scale() == 4.0
    assert all(torch.equal(one, other) for one, other in zip(before[3], before[4], strict=True))
    assert not all(torch.equal(one, other) for one, other in zip(before[4], before[5], strict=True))


def test_no_update_is_applied_whose_gradients_are_never_finite() -> None:
    """The scale becomes 0, and half of it is not smaller."""
    model = small()
    before = [parameter.detach().clone() for parameter in model.parameters()]
    made = updater(model, AdamW(lr=1e-2), precision=Float16Scaled(initial_scale=2.0**-145))
    next(model.parameters()).register_hook(  # type: ignore[no-untyped-call]
        lambda grad: torch.full_like(grad, math.inf)
    )
    updates = [made([batch(2, 5, number)]) for number in range(10)]
    assert all(update.loss.isfinite() and not update.applied for update in updates)
    assert made.scaler is not None
    assert made.scaler.get_scale() == 0.0
    assert (made.attempted, made.applied) == (10, 0)
    for parameter, old in zip(model.parameters(), before, strict=True):
        assert torch.equal(parameter, old)


@pytest.mark.parametrize("skipped", [0, 1, 3])
def test_the_optimizer_is_not_called_for_an_update_that_is_skipped(skipped: int) -> None:
    """torch leaves the skip to its fused optimizers, and SGD makes a momentum that it does not fill."""
    model = small()
    made = updater(model, SGD(lr=0.1), precision=Float16Scaled(initial_scale=8.0))
    assert made.optimizer.param_groups[0]["fused"]
    called = []
    made.optimizer.register_step_pre_hook(lambda *_: called.append(made.attempted))
    next(model.parameters()).register_hook(  # type: ignore[no-untyped-call]
        lambda grad: torch.full_like(grad, math.nan) if made.attempted == skipped else None
    )
    applied = [made([batch(2, 5, number)]).applied for number in range(4)]
    assert applied == [number != skipped for number in range(4)]
    assert called == [number for number in range(4) if number != skipped]


def test_clipping_sees_gradients_without_their_scale() -> None:
    """Norms with a scale of 1024 are those without one; clipped to a tenth, the steps are alike too."""
    norms, weights = [], []
    for precision in (Float16Autocast(), Float16Scaled(initial_scale=1024.0)):
        model = small()
        made = updater(model, SGD(lr=1.0, momentum=0.0), precision=precision, clip=0.1)
        norms.append(made([batch(8, 5, 0)]).norm.item())
        weights.append(torch.cat([parameter.detach().flatten() for parameter in model.parameters()]))
    assert norms[0] > 0.1
    assert norms[1] == pytest.approx(norms[0], rel=1e-2)
    torch.testing.assert_close(weights[1], weights[0], rtol=0, atol=1e-3)


def test_underflow_is_seen_and_a_scale_prevents_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loss weighed by 1e-5 has gradients that float16 rounds to zero."""
    mean_loss, shares = Objective.mean_loss, []
    for precision in (Float32(), Float16Autocast(), Float16Scaled(initial_scale=65536.0)):
        made = updater(small(), precision=precision)
        with monkeypatch.context() as patch:
            patch.setattr(
                Objective, "mean_loss", lambda *call: Loss(mean_loss(*call).mean * 1e-5, torch.zeros(()))
            )
            shares.append(made([batch(8, 5, 0)], count_zeros=True).zeros)
    assert shares[0] == 0.0
    assert shares[1] is not None
    assert shares[1] > 0.3
    assert shares[2] is not None
    assert shares[2] < 0.05


def test_a_compiled_model_is_one_graph_with_its_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    graphs: list[torch.fx.GraphModule] = []

    def keep(graph: torch.fx.GraphModule, _: list[torch.Tensor]) -> Callable[..., Any]:
        graphs.append(graph)
        return graph.forward

    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=keep))
    objective = Objective(small(), LossConfig(logits=ChunkedLogits(positions=7)))
    tensors = objective.tensors(uneven()[1])
    expected = objective.mean_loss(tensors)
    objective.compile()
    torch.testing.assert_close(tuple(objective.mean_loss(tensors)), tuple(expected))
    (graph,) = graphs
    (results,) = graph.graph.output_node().args
    assert isinstance(results, tuple)
    assert [result.meta["example_value"].shape for result in results] == [(), ()]  # type: ignore[union-attr]
