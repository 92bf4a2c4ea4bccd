"""Checkpointing changes what is kept, and not one bit of loss or gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from harness.models.config import EncoderDecoderConfig, ModelConfig
from harness.models.init import build_model
from harness.models.loss import cross_entropy

SIZES = {"vocab_size": 13, "d_model": 16, "n_heads": 2, "d_ff": 24, "max_positions": 16, "dropout": 0.1}
HOW: list[dict[str, Any]] = [{"kind": "blocks"}, {"kind": "blocks", "every": 2}, {"kind": "attention"}]
TOKENS = torch.randint(13, (3, 11), generator=torch.Generator().manual_seed(1))


def kept_and_found(
    model: torch.nn.Module, *inputs: torch.Tensor
) -> tuple[list[torch.Size], list[torch.Tensor]]:
    """Shapes that the forward pass keeps, then loss, gradients and the generator's next draw."""
    stored = []

    def note(tensor: torch.Tensor) -> torch.Tensor:
        stored.append(tensor.shape)
        return tensor

    torch.manual_seed(7)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        loss = cross_entropy(model(*inputs), inputs[-1])
    torch.autograd.backward(loss)
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    return stored, [loss.detach(), torch.rand(3), *gradients]


@pytest.mark.parametrize("how", HOW, ids=str)
@pytest.mark.parametrize("translates", [False, True])
def test_loss_and_gradients_are_bitwise_the_same(how: dict[str, Any], *, translates: bool) -> None:
    results, stored = [], []
    for checkpointing in ({"kind": "none"}, how):
        settings = {**SIZES, "checkpointing": checkpointing}
        if translates:
            config = EncoderDecoderConfig.model_validate(
                {**settings, "n_encoder_layers": 2, "n_decoder_layers": 2}
            )
            shapes, values = kept_and_found(build_model(config, 0), TOKENS, TOKENS)
        else:
            decoder = ModelConfig.model_validate({**settings, "n_layers": 3})
            shapes, values = kept_and_found(build_model(decoder, 0), TOKENS)
        results.append(values)
        stored.append(sum(shape.numel() for shape in shapes))
    assert len(results[0]) == len(results[1])
    assert all(torch.equal(plain, again) for plain, again in zip(*results, strict=True))
    assert stored[1] < stored[0]


def test_no_attention_of_a_translator_keeps_its_weights() -> None:
    weights = {(7, 7), (7, 11), (11, 11)}  # queries and keys of decoder, cross-attention and encoder
    results, stored = [], []
    for how in ("none", "attention"):
        settings = {**SIZES, "checkpointing": {"kind": how}, "n_encoder_layers": 1, "n_decoder_layers": 1}
        model = build_model(EncoderDecoderConfig.model_validate(settings), 0)
        shapes, values = kept_and_found(model, TOKENS, TOKENS[:, :7])
        results.append(values)
        stored.append(weights & {tuple(shape[-2:]) for shape in shapes})
    assert stored == [weights, set()]
    assert all(torch.equal(plain, again) for plain, again in zip(*results, strict=True))
