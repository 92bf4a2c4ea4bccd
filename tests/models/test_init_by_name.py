"""Initial tensors are keyed by (seed, parameter name)."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from models.config import ModelConfig, model_config
from models.init import build_model, initialise

CONFIG = model_config(
    {"d_model": 64, "n_layers": 2, "n_heads": 2, "d_ff": 128, "max_positions": 32, "init_std": 0.1},
    vocab_size=50,
)


def scaled(config: ModelConfig, name: str) -> bool:
    return name.startswith("blocks.") and name.endswith(("attention.out.weight", "feedforward.down.weight"))


def test_more_layers_change_no_tensor_but_the_scale_of_residual_projections() -> None:
    shallow, deep = build_model(CONFIG, 1), build_model(CONFIG.model_copy(update={"n_layers": 8}), 1)
    deeper = dict(deep.named_parameters())
    for name, tensor in shallow.named_parameters():
        factor = math.sqrt(8 / 2) if scaled(CONFIG, name) else 1.0
        torch.testing.assert_close(deeper[name] * factor, tensor, rtol=0 if factor == 1.0 else 1e-6, atol=0)


@pytest.mark.parametrize(
    "change", [{"position": {"kind": "learned"}}, {"tie_embeddings": False}, {"norm": {"kind": "rmsnorm"}}]
)
def test_another_module_changes_no_tensor_that_was_there(change: dict[str, object]) -> None:
    other = ModelConfig.model_validate({**CONFIG.model_dump(), **change})
    before, after = (
        dict(build_model(CONFIG, 1).named_parameters()),
        dict(build_model(other, 1).named_parameters()),
    )
    assert before.keys() != after.keys()
    for name in before.keys() & after.keys():
        assert torch.equal(before[name], after[name]), name


def test_every_weight_has_its_own_draw_and_the_declared_spread() -> None:
    weights = {name: t for name, t in build_model(CONFIG, 1).named_parameters() if t.dim() == 2}
    assert len({tensor.flatten()[:8].sum().item() for tensor in weights.values()}) == len(weights)
    for name, tensor in weights.items():
        std = 0.1 / 2 if scaled(CONFIG, name) else 0.1  # 1 / sqrt(2 · 2 layers)
        assert tensor.std().item() == pytest.approx(std, rel=0.05), name
        assert abs(tensor.mean().item()) < 5 * std / math.sqrt(tensor.numel()), name


def test_the_seed_decides_and_nothing_else() -> None:
    torch.manual_seed(7)
    one = build_model(CONFIG, 1)
    torch.manual_seed(8)
    same, other = build_model(CONFIG, 1), build_model(CONFIG, 2)
    assert torch.equal(one.embedding.weight, same.embedding.weight)
    assert not torch.equal(one.embedding.weight, other.embedding.weight)


def test_precision_only_rounds() -> None:
    wide, half = build_model(CONFIG, 1, dtype=torch.float64), build_model(CONFIG, 1, dtype=torch.bfloat16)
    assert torch.equal(wide.embedding.weight.bfloat16(), half.embedding.weight)


def test_a_module_without_an_initialisation_is_refused() -> None:
    model = build_model(CONFIG, 1)
    model.add_module("extra", nn.Conv1d(1, 1, 1))
    with pytest.raises(AssertionError, match="extra has parameters"):
        initialise(model, 1)
