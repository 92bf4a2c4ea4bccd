"""Which parameters decay: matrices alone, every parameter once."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from harness.models.config import ModelConfig
from harness.models.init import build_model
from harness.models.transformer import Transformer
from harness.training.optim import AdamW

SIZES: dict[str, Any] = {
    "vocab_size": 11,
    "d_model": 8,
    "n_layers": 2,
    "n_heads": 2,
    "d_ff": 16,
    "max_positions": 8,
}


def model(**settings: object) -> Transformer:
    return build_model(ModelConfig.model_validate({**SIZES, **settings}), 0)


def groups(model: Transformer) -> tuple[set[int], set[int]]:
    optimizer = AdamW(lr=1e-3, weight_decay=0.3).build(model)
    decayed, plain = optimizer.param_groups
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.3, 0.0)
    return {id(p) for p in decayed["params"]}, {id(p) for p in plain["params"]}


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("position", ["learned", "sinusoidal", "rotary"])
@pytest.mark.parametrize("norm", ["layernorm", "rmsnorm"])
def test_only_weights_of_linear_layers_decay(*, tied: bool, position: str, norm: str) -> None:
    built = model(tie_embeddings=tied, position={"kind": position}, norm={"kind": norm})
    decayed, plain = groups(built)
    linear = {id(module.weight) for module in built.modules() if isinstance(module, nn.Linear)}
    embeddings = {id(module.weight) for module in built.modules() if isinstance(module, nn.Embedding)}
    assert decayed == linear - embeddings
    assert plain == {id(parameter) for parameter in built.parameters()} - decayed
    assert embeddings <= plain


@pytest.mark.parametrize("tied", [True, False])
def test_every_parameter_is_optimized_exactly_once(*, tied: bool) -> None:
    built = model(tie_embeddings=tied)
    optimizer = AdamW(lr=1e-3).build(built)
    held = [id(parameter) for group in optimizer.param_groups for parameter in group["params"]]
    assert sorted(held) == sorted(id(parameter) for parameter in built.parameters())
    assert len(set(held)) == len(held)


def test_without_a_gradient_a_step_shrinks_matrices_and_nothing_else() -> None:
    """AdamW's decay is lr · weight_decay a step (Loshchilov & Hutter 2019, algorithm 2, line 12)."""
    built = model()
    before = {name: parameter.detach().clone() for name, parameter in built.named_parameters()}
    decayed, _ = groups(built)
    optimizer = AdamW(lr=1e-2, weight_decay=0.5).build(built)
    for parameter in built.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name, parameter in built.named_parameters():
        factor = 1 - 1e-2 * 0.5 if id(parameter) in decayed else 1.0
        assert torch.allclose(parameter, before[name] * factor, rtol=1e-6, atol=0), name


@pytest.mark.parametrize("settings", [{"lr": 0.0}, {"lr": float("inf")}, {"lr": 1.0, "weight_decay": -1.0}])
def test_settings_out_of_range_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        AdamW.model_validate(settings)
