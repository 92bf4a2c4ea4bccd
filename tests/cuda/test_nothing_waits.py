"""The host runs ahead of the GPU: updates and steps of decoding are queued, and nothing waits for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, get_args

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter

from harness.models.config import CacheKind, ChunkedLogits, LossConfig, ModelConfig, WholeLogits
from harness.models.decoding.greedy import greedy, greedy_steps
from harness.models.init import build_model
from harness.training.objective import Objective
from harness.training.optim import AdamW
from harness.training.precision import PrecisionConfig
from harness.training.update import Updater

SIZES: dict[str, Any] = {
    "vocab_size": 61,
    "d_model": 32,
    "n_layers": 2,
    "n_heads": 4,
    "d_ff": 48,
    "max_positions": 64,
}
CACHES: tuple[CacheKind, ...] = get_args(CacheKind)


@contextmanager
def waiting_is_an_error() -> Iterator[None]:
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_waiting_is_seen(device: torch.device) -> None:
    """What the other tests rely on."""
    value = torch.ones((), device=device)
    with pytest.raises(RuntimeError, match="synchronizing"), waiting_is_an_error():
        value.item()


@pytest.mark.parametrize("precision", ["fp32", "bf16-autocast", "bf16"])
@pytest.mark.parametrize("logits", [ChunkedLogits(positions=32), WholeLogits()], ids=str)
@pytest.mark.parametrize("accumulate", [1, 2])
def test_an_update(
    precision: str, logits: ChunkedLogits | WholeLogits, accumulate: int, device: torch.device
) -> None:
    how: Any = TypeAdapter(PrecisionConfig).validate_python(precision)
    model = build_model(ModelConfig.model_validate({**SIZES, "dropout": 0.1}), 0).to(
        device, how.weights_dtype
    )
    settings = LossConfig(logits=logits)
    updater = Updater(
        Objective(model.train(), settings), AdamW(lr=1e-3).build(model), precision=how, clip=1.0
    )
    tokens = np.random.default_rng(0).integers(0, 61, (4, 33))
    batches = [(tokens[:, :-1], tokens[:, 1:])] * accumulate
    updater(batches)  # the first makes the optimizer's state
    with waiting_is_an_error():
        updates = [updater(batches, measure_clipped=True) for _ in range(3)]
    assert torch.stack([update.loss for update in updates]).diff().max().item() < 0
    norms = torch.stack([update.measured[3] for update in updates])
    assert norms.max().item() <= 1.01


@pytest.mark.parametrize("cache", CACHES)
def test_greedy_decoding(cache: CacheKind, device: torch.device) -> None:
    """But for its end, where it asks whether all logits were finite."""
    model = build_model(ModelConfig.model_validate(SIZES), 0).to(device).eval()
    prompt = torch.arange(10, device=device).view(2, 5)
    steps = greedy_steps(model, prompt, new_tokens=8, cache=cache)
    first = next(steps)
    with waiting_is_an_error():
        decoded = [first, *(next(steps) for _ in range(7))]
    assert torch.equal(torch.stack(decoded, dim=1), greedy(model, prompt, new_tokens=8, cache="none"))
