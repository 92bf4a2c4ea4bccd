"""Weights laid out for decoding give the plain model's logits and tokens."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from models.config import model_config
from models.decoding.greedy import greedy
from models.fast import PreparedTransformer, prepare_for_decoding
from models.init import build_model
from models.transformer import Transformer

VARIANTS: dict[str, dict[str, Any]] = {
    "tied": {},
    "untied": {"tie_embeddings": False},
    "fused": {"attention": {"projection": "fused"}},
    "capped": {"output": {"soft_cap": 5.0, "scale": "inverse-sqrt-width", "bias": True}},
    "no bias, gated": {"attention": {"qkv_bias": False, "out_bias": False}, "feedforward": {"kind": "gated"}},
}


def _model(settings: dict[str, Any]) -> Transformer:
    model = build_model(model_config({"preset": "nano", "init_std": 0.1, **settings}, vocab_size=301), 0)
    return model.eval()


def _tokens(rows: int) -> torch.Tensor:
    return torch.randint(301, (rows, 7), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("rows", [1, 2, 16])
@pytest.mark.parametrize("variant", VARIANTS)
def test_logits_are_the_plain_model_s_to_rounding(variant: str, rows: int) -> None:
    model = _model(VARIANTS[variant])
    prepared = prepare_for_decoding(model, rows=rows)
    assert isinstance(prepared, PreparedTransformer)
    tokens = _tokens(rows)
    with torch.inference_mode():
        exact = model.double().next_logits(tokens)
        got = prepared.next_logits(tokens, cache=None, valid=None)
    assert got.dtype == torch.float32
    assert (got - exact).abs().max() <= 1e-5 * exact.abs().max()


@pytest.mark.parametrize("rows", [1, 3])
def test_decodes_the_same_tokens(rows: int) -> None:
    model = _model({})
    plain = greedy(model, _tokens(rows), new_tokens=40, cache="static")
    prepared = greedy(prepare_for_decoding(model, rows=rows), _tokens(rows), new_tokens=40, cache="static")
    assert torch.equal(prepared, plain)


def test_the_model_itself_stays_as_it_was() -> None:
    model = _model({})
    before = {name: (tensor.data_ptr(), tensor.stride()) for name, tensor in model.named_parameters()}
    logits = model(_tokens(2))
    prepare_for_decoding(model, rows=2)
    after = {name: (tensor.data_ptr(), tensor.stride()) for name, tensor in model.named_parameters()}
    assert after == before
    assert torch.equal(model(_tokens(2)), logits)


def test_other_precisions_are_left_alone() -> None:
    model = _model({}).double()
    assert prepare_for_decoding(model, rows=4) is model


def test_a_model_in_training_mode_is_refused() -> None:
    with pytest.raises(ValueError, match=r"training mode; call model\.eval\(\)"):
        prepare_for_decoding(_model({}).train(), rows=1)
