"""The architecture's config: presets, refusals and their messages."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from harness.models.config import (
    PRESETS,
    TRANSLATION_PRESETS,
    GatedFeedForward,
    LayerNorm,
    LearnedPosition,
    MaterialisedKernel,
    ModelConfig,
    MultiHeadAttention,
    OutputConfig,
    PlainFeedForward,
    PretrainedEmbedding,
    RMSNorm,
    RotaryPosition,
    SinusoidalPosition,
)
from harness.models.cost import parameter_count
from tests.models.configs import encoder_decoder_config, model_config

SIZES = {"d_model": 8, "n_layers": 1, "n_heads": 2, "d_ff": 16, "max_positions": 32}


def test_settings_override_the_preset() -> None:
    config = model_config({"preset": "nano", "n_layers": 4, "position": {"kind": "learned"}}, vocab_size=100)
    assert (config.vocab_size, config.d_model, config.n_layers, config.d_ff) == (100, 128, 4, 512)
    assert config.position == LearnedPosition()


@pytest.mark.parametrize(
    ("preset", "vocab_size", "parameters"),
    [
        ("gpt2-small", 50_257, 124_439_808),  # Radford et al.'s released weights, without the attention masks
        ("003-12x1024", 50_257, 203_294_720),  # V·d + 12 (4 d² + 3 d·d_ff + 4 d) + d
        (
            "transformer-base",
            37_000,
            63_082_496,
        ),  # Vaswani et al. 2017, table 3: 65 million, §5.1: 37,000 tokens
    ],
)
def test_presets_have_the_parameters_of_what_they_are_named_after(
    preset: str, vocab_size: int, parameters: int
) -> None:
    read = encoder_decoder_config if preset in TRANSLATION_PRESETS else model_config
    assert parameter_count(read({"preset": preset}, vocab_size=vocab_size)) == parameters


@pytest.mark.parametrize(
    ("preset", "said"),
    [
        # 001 §1.1: 300 values a word, scaled, projected; sines; ReLU; Post-LN and a norm at the end. No
        # sizes.
        (
            "001-lm",
            {
                "embedding": PretrainedEmbedding(width=300),
                "position": SinusoidalPosition(),
                "activation": "relu",
                "feedforward": PlainFeedForward(),
                "norm": LayerNorm(),
                "norm_placement": "post",
                "ends_in_norm": True,
                "head_width": 64,
            },
        ),
        # 003, Training Setup: 12 layers, 16 heads, d_model 1024, context 256, RMSNorm on both sides of a
        # block.
        (
            "003-12x1024",
            {
                "n_layers": 12,
                "n_heads": 16,
                "d_model": 1024,
                "head_width": 64,
                "max_positions": 256,
                "norm": RMSNorm(),
                "norm_placement": "both",
                # Logits are cut off at 80 before they are divided by the root of 64.
                "attention": MultiHeadAttention(
                    qkv_bias=False, out_bias=False, kernel=MaterialisedKernel(), clamp=80 / 8
                ),
            },
        ),
        (  # Radford et al. 2019, table 2 and §2.3.
            "gpt2-small",
            {
                "n_layers": 12,
                "n_heads": 12,
                "d_model": 768,
                "d_ff": 3072,
                "max_positions": 1024,
                "position": LearnedPosition(),
                "norm_placement": "pre",
                "ends_in_norm": True,
                "tie_embeddings": True,
            },
        ),
        ("nano", {"n_layers": 2, "n_heads": 4, "d_model": 128, "d_ff": 512, "max_positions": 512}),
        ("tiny", {"n_layers": 4, "n_heads": 4, "d_model": 256, "d_ff": 1024, "max_positions": 1024}),
        ("small", {"n_layers": 8, "n_heads": 8, "d_model": 512, "d_ff": 2048, "max_positions": 2048}),
        (  # Touvron et al. 2023, §2.2.
            "llama-like",
            {
                "norm": RMSNorm(),
                "norm_placement": "pre",
                "position": RotaryPosition(),
                "feedforward": GatedFeedForward(),
                "activation": "silu",
                "tie_embeddings": False,
            },
        ),
        (  # Gemma Team 2024, §2.
            "gemma2-like",
            {
                "norm": RMSNorm(gain="one-plus-weight"),
                "norm_placement": "both",
                "embedding_scale": "sqrt-width",
                "feedforward": GatedFeedForward(),
                "activation": "gelu-tanh",
                "output": OutputConfig(soft_cap=30.0),
            },
        ),
        (  # 000 is the original architecture; it gives no sizes.
            "000-mt",
            {
                "n_encoder_layers": 3,
                "n_decoder_layers": 3,
                "d_model": 256,
                "position": SinusoidalPosition(),
                "activation": "relu",
                "norm_placement": "post",
                "ends_in_norm": False,
                "dropout": 0.1,
            },
        ),
        (  # Vaswani et al. 2017, table 3, base; §3.4 and §3.5.
            "transformer-base",
            {
                "n_encoder_layers": 6,
                "n_decoder_layers": 6,
                "d_model": 512,
                "d_ff": 2048,
                "n_heads": 8,
                "head_width": 64,
                "dropout": 0.1,
                "position": SinusoidalPosition(),
                "activation": "relu",
                "norm_placement": "post",
                "ends_in_norm": False,
                "tie_embeddings": True,
            },
        ),
    ],
)
def test_presets_are_what_their_sources_say(preset: str, said: dict[str, Any]) -> None:
    read = encoder_decoder_config if preset in TRANSLATION_PRESETS else model_config
    config = read({"preset": preset}, vocab_size=10)
    assert {name: getattr(config, name) for name in said} == said


@pytest.mark.parametrize("preset", ["llama-like", "gemma2-like"])
def test_presets_with_grouped_queries_have_four_heads_of_keys(preset: str) -> None:
    config = model_config({"preset": preset}, vocab_size=10)
    assert (config.n_heads, config.attention.cached(config)) == (8, (4, 64, 64))


def test_attention_without_a_kind_is_multi_head_attention() -> None:
    explicit = model_config({**SIZES, "attention": {"kind": "multi-head", "n_kv_heads": 1}}, vocab_size=10)
    assert explicit == model_config({**SIZES, "attention": {"n_kv_heads": 1}}, vocab_size=10)
    assert explicit.attention == MultiHeadAttention(n_kv_heads=1)


def test_no_preset_is_left_unchecked() -> None:
    marks = test_presets_are_what_their_sources_say.pytestmark
    assert {preset for preset, _ in marks[0].args[1]} == {*PRESETS, *TRANSLATION_PRESETS}


def test_resolved_settings_read_back_as_themselves() -> None:
    config = model_config({**SIZES, "norm": {"kind": "rmsnorm"}, "dropout": 0.1}, vocab_size=5)
    assert ModelConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"d_model": 8}, "n_layers\n  Field required"),
        ({**SIZES, "n_heads": 3}, "d_model 8 is not a multiple of n_heads 3"),
        (
            {**SIZES, "d_model": 6},
            "a head is 3 wide; choose d_model and n_heads, or attention.head_width, so that",
        ),
        ({**SIZES, "d_model": 3, "n_heads": 1, "position": {"kind": "sinusoidal"}}, "even d_model, not 3"),
        ({**SIZES, "attention": {"n_kv_heads": 4}}, "n_heads 2 is not a multiple of n_kv_heads 4"),
        ({**SIZES, "attention": {"kind": "latent"}}, "expected tags: 'multi-head'"),
        ({**SIZES, "attention": {"soft_cap": 5.0}}, "set kernel: {kind: materialised}"),
        (
            {**SIZES, "attention": {"head_width": 3}},
            "a head is 3 wide; choose d_model and n_heads, or attention.head_width, so that",
        ),
        (
            {**SIZES, "position": {"kind": "rotary", "fraction": 0.25}},
            "of a head of 4 values is 1; choose a fraction",
        ),
        (
            {**SIZES, "norm_placement": "post", "feedforward_placement": "parallel"},
            "choose norm_placement pre, both or output",
        ),
        ({**SIZES, "embedding": {"kind": "pretrained", "width": 5}}, "set tie_embeddings: false"),
        ({**SIZES, "n_layers": 0}, "n_layers\n  Input should be greater than 0"),
        ({**SIZES, "n_layers": True}, "n_layers\n  Input should be a valid integer"),
        ({**SIZES, "dropout": 1.0}, "dropout\n  Input should be less than 1"),
        ({**SIZES, "position": {"kind": "rotari"}}, "'rotary'"),
        ({**SIZES, "norm": {"kind": "rmsnorm", "epsilon": 1}}, "epsilon\n  Extra inputs are not permitted"),
    ],
)
def test_a_model_that_cannot_be_built_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        model_config(settings, vocab_size=10)
    assert message in str(refusal.value)


def test_word_vectors_are_refused_where_the_source_has_a_vocabulary_of_its_own() -> None:
    settings = {"preset": "000-mt", "embedding": {"kind": "pretrained", "width": 5}, "tie_embeddings": False}
    assert encoder_decoder_config(settings, vocab_size=10).embedding_width == 5
    with pytest.raises(
        ValueError, match="word vectors fill one table, but source_vocab_size 7 needs a second"
    ):
        encoder_decoder_config(settings, vocab_size=10, source_vocab_size=7)


def test_it_is_frozen() -> None:
    config = model_config(SIZES, vocab_size=10)
    with pytest.raises(ValidationError, match="frozen"):
        config.n_layers = 3  # type: ignore[misc]


def test_config_and_cost_do_without_torch() -> None:
    code = "import sys, harness.models.config, harness.models.cost; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
