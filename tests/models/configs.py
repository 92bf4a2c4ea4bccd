"""Configs of models for tests, from settings as a study has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.models.config import PRESETS, TRANSLATION_PRESETS, EncoderDecoderConfig, ModelConfig


def model_config(settings: Mapping[str, Any], *, vocab_size: int) -> ModelConfig:
    """The decoder with the settings of `preset`, if it is given, and then those beside it."""
    others = {name: value for name, value in settings.items() if name != "preset"}
    preset = PRESETS[settings["preset"]] if "preset" in settings else {}
    return ModelConfig.model_validate({**preset, **others, "vocab_size": vocab_size})


def encoder_decoder_config(
    settings: Mapping[str, Any], *, vocab_size: int, source_vocab_size: int | None = None
) -> EncoderDecoderConfig:
    """Like `model_config`; without a `source_vocab_size` both sides share one vocabulary."""
    others = {name: value for name, value in settings.items() if name != "preset"}
    preset = TRANSLATION_PRESETS[settings["preset"]] if "preset" in settings else {}
    sizes = {"vocab_size": vocab_size, "source_vocab_size": source_vocab_size}
    return EncoderDecoderConfig.model_validate({**preset, **others, **sizes})
