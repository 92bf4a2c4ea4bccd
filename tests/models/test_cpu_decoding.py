"""Weights laid out for decoding give the plain model's logits and tokens."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch

from harness.models.config import Activation
from harness.models.cpu_decoding import SMALL_WEIGHT, PackedLinear, prepare_for_decoding, rounded_up
from harness.models.decoding.beam_search import beam_search
from harness.models.decoding.config import BeamSearch
from harness.models.decoding.greedy import greedy
from harness.models.encoder_decoder import EncoderDecoder
from harness.models.feedforward import ACTIVATIONS
from harness.models.init import build_model
from harness.models.transformer import Transformer
from tests.models.configs import encoder_decoder_config, model_config

VARIANTS: dict[str, dict[str, Any]] = {
    "tied": {},
    "untied": {"tie_embeddings": False},
    "fused": {"attention": {"projection": "fused"}},
    "grouped, norms a head": {"attention": {"n_kv_heads": 2, "qk_norm": {"norm": {"kind": "rmsnorm"}}}},
    "norms over all heads": {"attention": {"qk_norm": {"over": "all-heads"}}, "norm": {"kind": "rmsnorm"}},
    "capped": {"output": {"soft_cap": 5.0, "scale": "inverse-sqrt-width", "bias": True}},
    "no bias, gated": {"attention": {"qkv_bias": False, "out_bias": False}, "feedforward": {"kind": "gated"}},
    "no parameters left": {
        "norm": {"kind": "non-parametric"},
        "attention": {"qkv_bias": False, "out_bias": False},
        "feedforward": {"kind": "plain", "bias": False},
    },
    **{name: {"activation": name} for name in get_args(Activation)},
    "gated silu": {"feedforward": {"kind": "gated", "bias": True}, "activation": "silu"},
}


def _model(settings: dict[str, Any]) -> Transformer:
    model = build_model(model_config({"preset": "nano", "init_std": 0.1, **settings}, vocab_size=301), 0)
    return model.eval()


def _translator(settings: dict[str, Any]) -> EncoderDecoder:
    sizes = {"d_model": 32, "n_encoder_layers": 1, "n_decoder_layers": 2, "n_heads": 4, "d_ff": 64}
    config = encoder_decoder_config(
        {**sizes, "max_positions": 60, "init_std": 0.2, **settings}, vocab_size=301
    )
    return build_model(config, 0).eval()


def _tokens(rows: int) -> torch.Tensor:
    return torch.randint(301, (rows, 7), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("rows", [1, 16])
@pytest.mark.parametrize("variant", VARIANTS)
def test_logits_are_the_plain_model_s_to_rounding(variant: str, rows: int) -> None:
    model = _model(VARIANTS[variant])
    prepared = prepare_for_decoding(model)
    attention = dict(prepared.blocks[0].named_children())["attention"]
    packed = [name for name, child in attention.named_children() if isinstance(child, PackedLinear)]
    assert packed == (["qkv", "out"] if variant == "fused" else ["q", "k", "v", "out"])
    assert not any(isinstance(module, torch.nn.Linear) for module in prepared.modules())
    tokens = _tokens(rows)
    with torch.inference_mode():
        exact = model.double().next_logits(tokens)
        cache = prepared.new_cache("static", batch=rows, capacity=7)
        got = prepared.next_logits(tokens, cache=cache, valid=None)
    assert got.dtype == torch.float32
    assert (got - exact).abs().max() <= 1e-5 * exact.abs().max()


@pytest.mark.parametrize("rows", [1, 2, 16, 17, 24, 100])
@pytest.mark.parametrize("activation", [None, "relu", "gelu-tanh"])
def test_rows_are_rounded_up_and_cut_off_again(activation: Activation | None, rows: int) -> None:
    generator = torch.Generator().manual_seed(rows)
    weight, bias = torch.randn(24, 40, generator=generator), torch.randn(24, generator=generator)
    x = torch.randn(rows, 1, 40, generator=generator)
    layer = PackedLinear(weight, bias, activation=activation)
    computed: list[int] = []

    def product(x: torch.Tensor, *rest: Any) -> torch.Tensor:
        computed.append(x.numel() // 40)
        out: torch.Tensor = torch.ops.mkldnn._linear_pointwise.default(x, *rest)
        return out

    layer.product = product  # type: ignore[assignment]
    with torch.inference_mode():
        got = layer(x)
        exact = torch.nn.functional.linear(x.double(), weight.double(), bias.double())
        exact = exact if activation is None else ACTIVATIONS[activation](exact)
    assert got.shape == (rows, 1, 24)
    assert (got - exact).abs().max() <= 1e-6 * exact.abs().max()
    assert computed == ([] if rows == 1 and layer.parts else [rounded_up(rows) if rows > 16 else rows])


@pytest.mark.skipif(
    not torch.backends.mkl.is_available(),  # type: ignore[no-untyped-call]
    reason="only MKL's products are computed in parts",
)
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("outputs", [1, 130, 129])
@pytest.mark.parametrize("biased", [False, True])
def test_one_row_is_multiplied_by_parts_of_a_small_weight(
    threads: int, outputs: int, monkeypatch: pytest.MonkeyPatch, *, biased: bool
) -> None:
    generator = torch.Generator().manual_seed(outputs)
    weight, bias = torch.randn(outputs, 384, generator=generator), torch.randn(outputs, generator=generator)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    layer = PackedLinear(weight, bias if biased else None)
    assert layer.parts is not None
    assert layer.parts.count == (1 if outputs == 1 else threads)
    for shape in ((384,), (1, 384), (1, 1, 384)):
        x = torch.randn(shape, generator=generator)
        with torch.inference_mode():
            got = layer(x)
        exact = x.double() @ weight.double().t() + (bias.double() if biased else 0.0)
        assert got.shape == (*shape[:-1], outputs)
        assert (got - exact).abs().max() <= 1e-5 * exact.abs().max()


def test_a_large_weight_is_not_kept_twice() -> None:
    assert PackedLinear(torch.zeros(SMALL_WEIGHT // 256 + 1, 256), None).parts is None


def test_thousands_of_lengths_need_few_kernels_and_little_more_work() -> None:
    rooms = {rows: rounded_up(rows) for rows in range(17, 4097)}
    assert all(rows <= room < rows + max(8, rows / 16 + 1) for rows, room in rooms.items())
    assert len(set(rooms.values())) < 100
    assert [rooms[rows] for rows in (17, 80, 127, 300, 2048)] == [24, 80, 128, 304, 2048]


@pytest.mark.parametrize("variant", VARIANTS)
def test_logits_of_a_translator_are_the_plain_one_s_to_rounding(variant: str) -> None:
    model = _translator(VARIANTS[variant])
    source, target = _tokens(3), _tokens(3).flip(0)
    with torch.inference_mode():
        prepared = prepare_for_decoding(model)(source, target)
        exact = model.double()(source, target)
    assert (prepared - exact).abs().max() <= 1e-5 * exact.abs().max()


@pytest.mark.parametrize("rows", [1, 3])
def test_decodes_the_same_tokens(rows: int) -> None:
    model = _model({})
    plain = greedy(model, _tokens(rows), new_tokens=40, cache="static")
    prepared = greedy(prepare_for_decoding(model), _tokens(rows), new_tokens=40, cache="static")
    assert torch.equal(prepared, plain)


def test_beams_of_a_translator_are_the_same() -> None:
    model = _translator({"position": {"kind": "sinusoidal"}})
    start = torch.zeros((3, 1), dtype=torch.long)
    hypotheses = [
        beam_search(one.bind(_tokens(3)), start, BeamSearch(width=4), new_tokens=12, cache="static", end=1)
        for one in (model, prepare_for_decoding(model))
    ]
    plain, prepared = ([row[0].tokens for row in rows] for rows in hypotheses)
    assert prepared == plain


def test_in_bfloat16_it_stays_bfloat16() -> None:
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("oneDNN has no bfloat16 on this processor")
    model = _model({}).bfloat16()
    with torch.inference_mode():
        got = prepare_for_decoding(model).next_logits(_tokens(2))
        plain = model.next_logits(_tokens(2))
        exact = model.double().next_logits(_tokens(2))
    assert got.dtype == torch.bfloat16
    assert (got - exact).norm() <= 1.2 * (plain - exact).norm()


def test_the_model_itself_stays_as_it_was() -> None:
    model = _model({})
    before = {name: (tensor.data_ptr(), tensor.stride()) for name, tensor in model.named_parameters()}
    logits = model(_tokens(2))
    prepare_for_decoding(model)
    after = {name: (tensor.data_ptr(), tensor.stride()) for name, tensor in model.named_parameters()}
    assert after == before
    assert torch.equal(model(_tokens(2)), logits)


def test_other_precisions_are_left_alone() -> None:
    model = _model({}).double()
    assert prepare_for_decoding(model) is model


def test_a_model_in_training_mode_is_refused() -> None:
    with pytest.raises(ValueError, match=r"training mode; call model\.eval\(\)"):
        prepare_for_decoding(_model({}).train())


def test_what_is_replaced_later_is_found() -> None:
    prepared = prepare_for_decoding(_model({}))
    block = prepared.blocks[0]
    assert vars(block)["attention_norm"] is block.attention_norm
    norm = torch.nn.Identity()
    block.attention_norm = norm
    assert block.attention_norm is norm
    assert "attention_norm" not in vars(block)
