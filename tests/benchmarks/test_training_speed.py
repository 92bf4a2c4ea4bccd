"""A training update in each precision, and the loss with its gradient."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from harness.models.config import ChunkedLogits, LossConfig, WholeLogits
from harness.models.init import build_model
from harness.models.loss import loss_of_hidden
from harness.tasks.step import Step
from tests.models.configs import model_config

STEP = {
    "model": {"preset": "nano", "vocab_size": 2048},
    "batch": 2,
    "length": 64,
    "optimizer": {"kind": "adamw", "lr": 1e-4},
    "loss": {"logits": {"kind": "whole"}},  # the only one for all precisions
}
PRECISIONS = ("fp32", "bf16-autocast", "fp16-autocast", "fp16-scaled", "bf16")
LOGITS = (WholeLogits(), ChunkedLogits(positions=128))


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """A second thread beside a busy process makes small products many times slower, and unevenly so."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_update(benchmark: BenchmarkFixture, precision: str) -> None:
    benchmark.group = "an update of nano on 2 × 64 tokens"
    task = Step.read({**STEP, "precision": precision})
    updater = task.updater(build_model(task.model, 0).train())
    batches = task._micro_batches(0)
    update = benchmark.pedantic(updater, args=(batches,), rounds=10, warmup_rounds=2)  # type: ignore[no-untyped-call]
    assert torch.isfinite(update.loss)


@pytest.mark.parametrize("logits", LOGITS, ids=lambda logits: logits.kind)
def test_loss(benchmark: BenchmarkFixture, logits: WholeLogits | ChunkedLogits) -> None:
    benchmark.group = "the loss of 512 tokens with its gradient"
    model = build_model(model_config({"preset": "nano"}, vocab_size=2048), 0)
    chance = torch.Generator().manual_seed(0)
    targets = torch.randint(2048, (8, 64), generator=chance)
    hidden = torch.randn(8, 64, model.config.d_model, generator=chance, requires_grad=True)

    def loss() -> torch.Tensor:
        hidden.grad = None
        value = loss_of_hidden(hidden, model.output, targets, LossConfig(logits=logits))
        value.backward()  # type: ignore[no-untyped-call]
        return value

    assert torch.isfinite(benchmark(loss))
    assert hidden.grad is not None
