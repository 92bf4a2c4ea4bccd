"""The architecture's config: presets, refusals and their messages."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from models.config import (
    PRESETS,
    TRANSLATION_PRESETS,
    LearnedPosition,
    ModelConfig,
    encoder_decoder_config,
    model_config,
)

SIZES = {"d_model": 8, "n_layers": 1, "n_heads": 2, "d_ff": 16, "max_positions": 32}


def test_settings_override_the_preset() -> None:
    config = model_config({"preset": "nano", "n_layers": 4, "position": {"kind": "learned"}}, vocab_size=100)
    assert (config.vocab_size, config.d_model, config.n_layers, config.d_ff) == (100, 128, 4, 512)
    assert config.position == LearnedPosition()


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_complete(preset: str) -> None:
    resolved = model_config({"preset": preset}, vocab_size=10).model_dump(mode="json")
    assert_holds(resolved, PRESETS[preset])


@pytest.mark.parametrize("preset", TRANSLATION_PRESETS)
def test_every_translation_preset_is_complete(preset: str) -> None:
    resolved = encoder_decoder_config({"preset": preset}, vocab_size=10).model_dump(mode="json")
    assert_holds(resolved, TRANSLATION_PRESETS[preset])


def assert_holds(resolved: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Everything that was set, as it was set."""
    for name, value in settings.items():
        if isinstance(value, dict):
            assert_holds(resolved[name], value)
        else:
            assert resolved[name] == value, name


def test_resolved_settings_read_back_as_themselves() -> None:
    config = model_config({**SIZES, "norm": {"kind": "rmsnorm"}, "dropout": 0.1}, vocab_size=5)
    assert ModelConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"preset": "nanno"}, "unknown preset 'nanno'; did you mean 'nano'?"),
        ({"preset": 7}, "unknown preset 7; known: nano, tiny, small"),
        ({"preset": "nano", "n_layer": 4}, "unknown setting 'n_layer'; did you mean 'n_layers'?"),
        ({"preset": "nano", "vocab_size": 4}, "vocab_size is the tokenizer's"),
        ({"d_model": 8}, "n_layers: Field required"),
        ({**SIZES, "n_heads": 3}, "d_model 8 is not a multiple of n_heads 3"),
        ({**SIZES, "d_model": 6}, "a head is d_model / n_heads = 3 wide"),
        ({**SIZES, "d_model": 3, "n_heads": 1, "position": {"kind": "sinusoidal"}}, "even d_model, not 3"),
        ({**SIZES, "attention": {"n_kv_heads": 4}}, "n_heads 2 is not a multiple of n_kv_heads 4"),
        ({**SIZES, "attention": {"soft_cap": 5.0}}, "set kernel: {kind: materialised}"),
        ({**SIZES, "attention": {"head_width": 3}}, "a head is attention.head_width = 3 wide"),
        (
            {**SIZES, "position": {"kind": "rotary", "fraction": 0.25}},
            "of a head of 4 is 1; choose a fraction",
        ),
        (
            {**SIZES, "norm_placement": "post", "feedforward_placement": "parallel"},
            "choose pre, both or output",
        ),
        ({**SIZES, "embedding": {"kind": "pretrained", "width": 5}}, "set tie_embeddings: false"),
        ({**SIZES, "n_layers": 0}, "n_layers: Input should be greater than 0"),
        ({**SIZES, "n_layers": True}, "n_layers: Input should be a valid integer"),
        ({**SIZES, "dropout": 1.0}, "dropout: Input should be less than 1"),
        ({**SIZES, "position": {"kind": "rotari"}}, "'rotary'"),
        ({**SIZES, "norm": {"kind": "rmsnorm", "epsilon": 1}}, "epsilon: Extra inputs are not permitted"),
    ],
)
def test_what_cannot_be_built_is_refused_in_one_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match="model: ") as refusal:
        model_config(settings, vocab_size=10)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_word_vectors_are_refused_where_the_source_has_a_vocabulary_of_its_own() -> None:
    settings = {"preset": "000-mt", "embedding": {"kind": "pretrained", "width": 5}, "tie_embeddings": False}
    assert encoder_decoder_config(settings, vocab_size=10).embedding_width == 5
    with pytest.raises(ValueError, match="word vectors fill one table, and a source_vocab_size 7 asks for"):
        encoder_decoder_config(settings, vocab_size=10, source_vocab_size=7)


def test_it_is_frozen() -> None:
    config = model_config(SIZES, vocab_size=10)
    with pytest.raises(ValidationError, match="frozen"):
        config.n_layers = 3  # type: ignore[misc]


def test_config_and_cost_do_without_torch() -> None:
    code = "import sys, models.config, models.cost; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
