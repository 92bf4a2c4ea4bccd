"""Checkpointing changes what is kept, and not one bit of loss or gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from models.config import EncoderDecoderConfig, ModelConfig
from models.init import build_model
from models.loss import cross_entropy

SIZES = {"vocab_size": 13, "d_model": 16, "n_heads": 2, "d_ff": 24, "max_positions": 16, "dropout": 0.1}
HOW: list[dict[str, Any]] = [{"kind": "blocks"}, {"kind": "blocks", "every": 2}, {"kind": "attention"}]
TOKENS = torch.randint(13, (3, 11), generator=torch.Generator().manual_seed(1))


def kept_and_found(model: torch.nn.Module, *inputs: torch.Tensor) -> tuple[int, list[torch.Tensor]]:
    """Values that the forward pass keeps, then loss, gradients and the generator's next draw."""
    kept = 0

    def count(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal kept
        kept += tensor.numel()
        return tensor

    torch.manual_seed(7)
    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        loss = cross_entropy(model(*inputs), inputs[-1])
    torch.autograd.backward(loss)
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    return kept, [loss.detach(), torch.rand(3), *gradients]


@pytest.mark.parametrize("how", HOW, ids=str)
@pytest.mark.parametrize("translates", [False, True])
def test_loss_and_gradients_are_bitwise_the_same(how: dict[str, Any], *, translates: bool) -> None:
    found, kept = [], []
    for checkpointing in ({"kind": "none"}, how):
        settings = {**SIZES, "checkpointing": checkpointing}
        if translates:
            config = EncoderDecoderConfig.model_validate(
                {**settings, "n_encoder_layers": 2, "n_decoder_layers": 2}
            )
            count, values = kept_and_found(build_model(config, 0), TOKENS, TOKENS)
        else:
            decoder = ModelConfig.model_validate({**settings, "n_layers": 3})
            count, values = kept_and_found(build_model(decoder, 0), TOKENS)
        found.append(values)
        kept.append(count)
    assert len(found[0]) == len(found[1])
    assert all(torch.equal(plain, again) for plain, again in zip(*found, strict=True))
    assert kept[1] < kept[0]
