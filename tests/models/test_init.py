"""Initial tensors are keyed by (seed, parameter name)."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch
from torch import nn

from harness.models.config import EncoderDecoderConfig, ModelConfig
from harness.models.init import build_model, initialise
from tests.models.configs import model_config

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


@pytest.mark.parametrize(
    ("init", "std", "widest"),
    [
        ({"kind": "normal"}, 0.1, math.inf),
        ({"kind": "truncated-normal", "cut": 1.0}, 0.1 * 0.53956, 0.1),
        ({"kind": "xavier"}, math.sqrt(2 / 192), math.inf),
        ({"kind": "xavier", "distribution": "uniform"}, math.sqrt(2 / 192), math.sqrt(6 / 192)),
        ({"kind": "squared-xavier"}, 2 / 192, math.inf),
        ({"kind": "kaiming"}, math.sqrt(2 / 64), math.inf),
        ({"kind": "kaiming", "distribution": "uniform"}, math.sqrt(2 / 64), math.sqrt(6 / 64)),
        ({"kind": "lecun"}, math.sqrt(1 / 64), math.inf),
        ({"kind": "lecun", "distribution": "uniform"}, math.sqrt(1 / 64), math.sqrt(3 / 64)),
    ],
    ids=str,
)
def test_each_kind_has_its_spread(init: dict[str, object], std: float, widest: float) -> None:
    settings = {**CONFIG.model_dump(), "init": {**init, "embedding_std": 0.7}}
    model = build_model(ModelConfig.model_validate(settings), 1)
    up = model.get_parameter("blocks.0.feedforward.up.weight")  # from 64 to 128
    assert up.std().item() == pytest.approx(std, rel=0.03)
    # A normal draw of 8192 goes beyond what a uniform one could reach.
    assert up.abs().max().item() <= widest * (1 + 1e-6)
    assert widest < math.inf or up.abs().max().item() > 3 * std
    assert model.embedding.weight.std().item() == pytest.approx(0.7, rel=0.05)


def test_residual_projections_may_keep_their_spread() -> None:
    settings = {**CONFIG.model_dump(), "init": {"kind": "normal", "residual": "one"}}
    down = build_model(ModelConfig.model_validate(settings), 1).get_parameter(
        "blocks.0.feedforward.down.weight"
    )
    assert down.std().item() == pytest.approx(0.1, rel=0.03)


def test_residual_projections_of_an_encoder_decoder_are_scaled_by_their_number_in_each_stack() -> None:
    settings = CONFIG.model_dump(exclude={"kind", "n_layers"})
    config = EncoderDecoderConfig.model_validate({**settings, "n_encoder_layers": 2, "n_decoder_layers": 3})
    weights = {name: t for name, t in build_model(config, 1).named_parameters() if t.dim() == 2}
    expected = dict.fromkeys(weights, 0.1)
    for layer, part in product(range(2), ("attention.out", "feedforward.down")):
        expected[f"encoder.blocks.{layer}.{part}.weight"] = 0.1 / math.sqrt(4)
    for layer, part in product(range(3), ("attention.out", "cross_attention.out", "feedforward.down")):
        expected[f"decoder.blocks.{layer}.{part}.weight"] = 0.1 / math.sqrt(9)
    assert {name: tensor.std().item() for name, tensor in weights.items()} == pytest.approx(
        expected, rel=0.06
    )


@pytest.mark.parametrize("kind", ["normal", "xavier"])
def test_fused_projections_hold_what_separate_ones_hold(kind: str) -> None:
    settings = {**CONFIG.model_dump(), "init": {"kind": kind}}
    apart = build_model(ModelConfig.model_validate({**settings, "attention": {"n_kv_heads": 1}}), 1)
    fused_settings = {**settings, "attention": {"n_kv_heads": 1, "projection": "fused"}}
    fused = build_model(ModelConfig.model_validate(fused_settings), 1)
    parts: list[torch.Tensor] = [apart.get_parameter(f"blocks.1.attention.{name}.weight") for name in "qkv"]
    assert torch.equal(fused.get_parameter("blocks.1.attention.qkv.weight"), torch.cat(parts))


def test_word_vectors_are_taken_as_they_are_and_may_be_frozen() -> None:
    settings = {**CONFIG.model_dump(), "tie_embeddings": False}
    config = ModelConfig.model_validate(
        {**settings, "embedding": {"kind": "pretrained", "width": 6, "frozen": True}}
    )
    vectors = torch.randn(50, 6)
    model = build_model(config, 1, vectors=vectors)
    assert torch.equal(model.embedding.weight, vectors)
    assert not model.embedding.weight.requires_grad
    with pytest.raises(ValueError, match="needs word vectors"):
        build_model(config, 1)
    with pytest.raises(ValueError, match=r"\(50, 5\), but the model needs \(50, 6\)"):
        build_model(config, 1, vectors=vectors[:, :5])
    with pytest.raises(ValueError, match="not all finite"):
        build_model(config, 1, vectors=vectors / 0)
