"""Named settings, and how settings that a person wrote become a config.

Sizes in `PRESETS` are for decoder-only models, those in `TRANSLATION_PRESETS` for encoder-decoders. The
vocabulary is always the tokenizer's.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import ValidationError

from harness.models.config.model import Architecture, EncoderDecoderConfig, ModelConfig

_NO_BIAS = {"qkv_bias": False, "out_bias": False}
_ORIGINAL = {
    "position": {"kind": "sinusoidal"},
    "norm_placement": "post",
    "activation": "relu",
    "dropout": 0.1,
}

PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "nano": {"d_model": 128, "n_layers": 2, "n_heads": 4, "d_ff": 512, "max_positions": 512},
        "tiny": {"d_model": 256, "n_layers": 4, "n_heads": 4, "d_ff": 1024, "max_positions": 1024},
        "small": {"d_model": 512, "n_layers": 8, "n_heads": 8, "d_ff": 2048, "max_positions": 2048},
        # Source 001 §1.1: fastText's 300 dimensions scaled and projected, post-norm and one more norm at the
        # end. The source gives no sizes; these are those of "tiny".
        "001-lm": {
            **_ORIGINAL,
            "d_model": 256,
            "n_layers": 4,
            "n_heads": 4,
            "d_ff": 1024,
            "max_positions": 1024,
            "embedding": {"kind": "pretrained", "width": 300},
            "final_norm": "always",
            "tie_embeddings": False,
        },
        # Source 003: 12 layers, 16 heads, d_model 1024, RMSNorm before and after each block; logits of
        # attention cut off at 80 before they are divided by sqrt(64). The width of its feed-forward layer is
        # not given; of gated ones it says 8/3 of d_model, here the next multiple of 32.
        "003-12x1024": {
            "d_model": 1024,
            "n_layers": 12,
            "n_heads": 16,
            "d_ff": 2752,
            "max_positions": 256,
            "norm": {"kind": "rmsnorm"},
            "norm_placement": "both",
            "attention": {**_NO_BIAS, "kernel": {"kind": "materialised"}, "clamp": 10.0},
            "feedforward": {"kind": "gated"},
            "activation": "silu",
            "output": {"scale": "inverse-sqrt-width"},
            "init": {"kind": "squared-xavier", "embedding_std": 0.02, "residual": "one"},
        },
        # Radford et al. 2019, §2.3 and table 2.
        "gpt2-small": {
            "d_model": 768,
            "n_layers": 12,
            "n_heads": 12,
            "d_ff": 3072,
            "max_positions": 1024,
            "position": {"kind": "learned"},
            "activation": "gelu-tanh",
            "dropout": 0.1,
            "attention": {"projection": "fused"},
        },
        # Touvron et al. 2023, §2.2, with the grouped queries of Llama 2 (§2.2), at the size of "small".
        "llama-like": {
            "d_model": 512,
            "n_layers": 8,
            "n_heads": 8,
            "d_ff": 1376,
            "max_positions": 2048,
            "norm": {"kind": "rmsnorm"},
            "attention": {**_NO_BIAS, "n_kv_heads": 4},
            "feedforward": {"kind": "gated"},
            "activation": "silu",
            "tie_embeddings": False,
        },
        # Gemma Team 2024, §2 and table 1, at the size of "small": every other layer sees a window.
        "gemma2-like": {
            "d_model": 512,
            "n_layers": 8,
            "n_heads": 8,
            "d_ff": 2048,
            "max_positions": 2048,
            "norm": {"kind": "rmsnorm", "gain": "one-plus-weight"},
            "norm_placement": "both",
            "embedding_scale": "sqrt-width",
            "attention": {
                **_NO_BIAS,
                "n_kv_heads": 4,
                "kernel": {"kind": "materialised"},
                "windows": [1024, None],
                "soft_cap": 50.0,
            },
            "feedforward": {"kind": "gated"},
            "activation": "gelu-tanh",
            "output": {"soft_cap": 30.0},
        },
    }
)

TRANSLATION_PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        # Source 000: the original architecture, small. The source's text gives no sizes; these fit two cores.
        "000-mt": {
            **_ORIGINAL,
            "d_model": 256,
            "n_encoder_layers": 3,
            "n_decoder_layers": 3,
            "n_heads": 4,
            "d_ff": 1024,
            "max_positions": 256,
        },
        # Vaswani et al. 2017, table 3, base.
        "transformer-base": {
            **_ORIGINAL,
            "d_model": 512,
            "n_encoder_layers": 6,
            "n_decoder_layers": 6,
            "n_heads": 8,
            "d_ff": 2048,
            "max_positions": 1024,
        },
    }
)


def model_config(settings: Mapping[str, Any], *, vocab_size: int) -> ModelConfig:
    """Resolve `{preset: nano, n_layers: 4}`: the preset's settings, then what the settings say themselves.

    Raises ValueError, one line, for an unknown preset or setting and for what cannot be built.
    """
    resolved = _resolve(settings, PRESETS, ModelConfig)
    return _read(ModelConfig, {**resolved, "vocab_size": vocab_size})


def encoder_decoder_config(
    settings: Mapping[str, Any], *, vocab_size: int, source_vocab_size: int | None = None
) -> EncoderDecoderConfig:
    """The same for an encoder-decoder; without a `source_vocab_size` both sides share one vocabulary."""
    resolved = _resolve(settings, TRANSLATION_PRESETS, EncoderDecoderConfig)
    sizes = {"vocab_size": vocab_size, "source_vocab_size": source_vocab_size}
    return _read(EncoderDecoderConfig, {**resolved, **sizes})


Config = TypeVar("Config", bound=Architecture)

_OF_THE_TOKENIZER = ("vocab_size", "source_vocab_size")


def _resolve(
    settings: Mapping[str, Any], presets: Mapping[str, Mapping[str, Any]], config: type[Architecture]
) -> dict[str, Any]:
    own = dict(settings)
    preset = own.pop("preset", None)
    if preset is not None and (not isinstance(preset, str) or preset not in presets):
        raise ValueError(f"model: unknown preset {preset!r}; {_nearest(preset, presets)}")
    known = ["preset", *(name for name in config.model_fields if name not in _OF_THE_TOKENIZER)]
    for name in own:
        if name in _OF_THE_TOKENIZER:
            raise ValueError(f"model: {name} is the tokenizer's; remove it from the model's settings")
        if name not in known:
            raise ValueError(f"model: unknown setting {name!r}; {_nearest(name, known)}")
    return {**presets.get(preset or "", {}), **own}


def _read(config: type[Config], settings: dict[str, Any]) -> Config:
    try:
        return config.model_validate(settings)
    except ValidationError as error:
        raise ValueError(f"model: {_one_line(error)}") from error


def _nearest(word: object, known: Mapping[str, Any] | list[str]) -> str:
    near = difflib.get_close_matches(str(word), known, n=1)
    return f"did you mean {near[0]!r}?" if near else "known: " + ", ".join(known)


def _one_line(error: ValidationError) -> str:
    problems = []
    for item in error.errors():
        where = ".".join(str(part) for part in item["loc"])
        what = item["msg"].removeprefix("Value error, ")
        problems.append(f"{where}: {what}" if where else what)
    return "; ".join(problems)
