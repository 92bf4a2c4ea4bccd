"""A training step and a cached decoding step are one graph each, and few lengths of a cache are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounter

from harness.models.config import ChunkedLogits, LossConfig, ModelConfig
from harness.models.encoder_decoder import EncoderDecoder
from harness.models.init import build_model
from harness.models.loss import loss_of_hidden
from tests.models.configs import encoder_decoder_config

SIZES = {"vocab_size": 13, "d_model": 16, "n_layers": 1, "n_heads": 2, "d_ff": 24, "max_positions": 40}
VARIANTS: dict[str, dict[str, Any]] = {
    "rotary, checkpointed": {"checkpointing": {"kind": "blocks"}},
    "alibi": {"position": {"kind": "alibi"}},
    "relative, windows, capped": {
        "n_layers": 2,
        "position": {"kind": "relative"},
        "attention": {"kernel": {"kind": "materialised"}, "windows": [4, None], "soft_cap": 5.0},
    },
}
CHUNKS = ChunkedLogits(positions=14)  # of 24: a whole one and a shorter one
TOKENS = torch.randint(13, (2, 12), generator=torch.Generator().manual_seed(0))
VALID = torch.arange(12) < torch.tensor([[8], [12]])


@pytest.mark.parametrize("variant", VARIANTS)
def test_without_a_graph_break(variant: str) -> None:
    model = build_model(ModelConfig.model_validate({**SIZES, **VARIANTS[variant]}), 0)
    settings = LossConfig(z_loss=1e-4, logits=CHUNKS)

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


def test_a_decoding_step_is_compiled_at_two_lengths_and_no_more() -> None:
    model = build_model(ModelConfig.model_validate(SIZES), 0).eval()
    counter = CompileCounter()
    compiled_step = torch.compile(model.next_logits, fullgraph=True, backend=counter)
    with torch.inference_mode():
        cache = model.new_cache("static", batch=2, capacity=40)
        model.next_logits(TOKENS, cache=cache)
        for _ in range(20):
            compiled_step(TOKENS[:, :1], cache=cache)
    assert counter.frame_count <= 2


def test_a_translator_without_a_graph_break() -> None:
    model = _translator(dropout=0.0)
    gradients = []
    for run in (
        _translation_loss(model),
        torch.compile(_translation_loss(model), fullgraph=True, backend="aot_eager"),
    ):
        model.zero_grad()
        torch.autograd.backward(run(TOKENS, TOKENS.flip(0)))
        gradients.append([p.grad for p in model.parameters()])
    for eager, compiled in zip(*gradients, strict=True):
        torch.testing.assert_close(compiled, eager)

    bound = model.eval().bind(TOKENS, VALID)
    compiled_step = torch.compile(bound.next_logits, fullgraph=True, backend="eager")
    with torch.inference_mode():
        caches = [bound.new_cache("static", batch=2, capacity=20) for _ in range(2)]
        for token in torch.split(TOKENS[:, :4], 1, dim=1):
            expected = bound.next_logits(token, cache=caches[0], valid=None)
            torch.testing.assert_close(compiled_step(token, cache=caches[1], valid=None), expected)


def test_dropout_without_a_graph_break_is_drawn_anew() -> None:
    compiled = torch.compile(_translation_loss(_translator(dropout=0.2)), fullgraph=True, backend="eager")
    losses = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        losses.append(compiled(TOKENS, TOKENS.flip(0)).item())
    assert losses[0] == losses[1] != losses[2]


def _translator(*, dropout: float) -> EncoderDecoder:
    sizes = {"d_model": 16, "n_encoder_layers": 1, "n_decoder_layers": 1, "n_heads": 2, "d_ff": 24}
    settings = {**sizes, "max_positions": 40, "dropout": dropout}
    return build_model(encoder_decoder_config(settings, vocab_size=13), 0).train()


def _translation_loss(model: EncoderDecoder) -> Callable[[Tensor, Tensor], Tensor]:
    settings = LossConfig(label_smoothing=0.1, logits=CHUNKS)

    def step(source: Tensor, target: Tensor) -> Tensor:
        hidden = model.hidden(source, target, source_valid=VALID, target_valid=VALID)
        return loss_of_hidden(hidden, model.output, target, settings)

    return step
