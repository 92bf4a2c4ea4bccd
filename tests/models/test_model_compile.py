"""A training step and a cached decoding step are one graph each."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from models.config import ChunkedLogits, LossConfig, ModelConfig
from models.init import build_model
from models.loss import loss_of_hidden

SIZES = {"vocab_size": 13, "d_model": 16, "n_layers": 2, "n_heads": 2, "d_ff": 24, "max_positions": 40}
VARIANTS: dict[str, dict[str, Any]] = {
    "rotary": {},
    "alibi": {"position": {"kind": "alibi"}},
    "relative, windows, capped": {
        "position": {"kind": "relative"},
        "attention": {"kernel": {"kind": "materialised"}, "windows": [4, None], "soft_cap": 5.0},
    },
    "checkpointed": {"checkpointing": {"kind": "blocks"}},
}
TOKENS = torch.randint(13, (2, 12), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("variant", VARIANTS)
def test_without_a_graph_break(variant: str) -> None:
    model = build_model(ModelConfig.model_validate({**SIZES, **VARIANTS[variant]}), 0)
    settings = LossConfig(z_loss=1e-4, logits=ChunkedLogits(positions=7))

    def step(tokens: Tensor) -> Tensor:
        return loss_of_hidden(model.hidden(tokens), model.output, tokens, settings)

    gradients = []
    for run in (step, torch.compile(step, fullgraph=True, backend="aot_eager")):
        model.zero_grad()
        torch.autograd.backward(run(TOKENS))
        gradients.append([p.grad for p in model.parameters()])
    for eager, compiled in zip(*gradients, strict=True):
        torch.testing.assert_close(compiled, eager)

    model.eval()
    compiled_step = torch.compile(model.next_logits, fullgraph=True, backend="eager")
    with torch.inference_mode():
        caches = [model.new_cache("static", batch=2, capacity=20) for _ in range(2)]
        for cache in caches:
            model.next_logits(TOKENS, cache=cache)
        for token in torch.split(TOKENS[:, :3], 1, dim=1):
            expected = model.next_logits(token, cache=caches[0])
            torch.testing.assert_close(compiled_step(token, cache=caches[1]), expected)
