"""Random models that are small and differ in every part, in both precisions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from harness.models.config import EncoderDecoderConfig, ModelConfig
from harness.models.encoder_decoder import EncoderDecoder
from harness.models.init import build_model
from harness.models.transformer import Transformer

VOCABULARY = 13
DTYPES = (torch.float64, torch.float32)

# With large weights, so that a wrong key or a wrong token changes the results.
SIZES: Mapping[str, Any] = {
    "vocab_size": VOCABULARY,
    "d_model": 16,
    "n_heads": 2,
    "d_ff": 24,
    "max_positions": 40,
    "init_std": 0.3,
}
MATERIALISED = {"kernel": {"kind": "materialised"}}
DECODERS: Mapping[str, Mapping[str, Any]] = {
    "rotary": {},
    "sinusoidal, post-norm": {"position": {"kind": "sinusoidal"}, "norm_placement": "post"},
    "learned, materialised": {"position": {"kind": "learned"}, "attention": MATERIALISED},
    "relative, grouped queries": {"position": {"kind": "relative"}, "attention": {"n_kv_heads": 1}},
    "alibi, windows": {"position": {"kind": "alibi"}, "attention": {"windows": [4, None]}},
    "no positions, windows, materialised": {
        "position": {"kind": "none"},
        "attention": {**MATERIALISED, "windows": [None, 3]},
    },
}
TRANSLATORS: Mapping[str, Mapping[str, Any]] = {
    "translator, learned": {"position": {"kind": "learned"}},
    "translator, relative, materialised": {"position": {"kind": "relative"}, "attention": MATERIALISED},
}
# Settings of a model without biases on keys. The gradients of these biases consist of rounding errors, which
# Adam would magnify to full steps.
NO_KEY_BIAS: Mapping[str, Any] = {"attention": {"qkv_bias": False}}


def decoder_config(settings: Mapping[str, Any], **others: Any) -> ModelConfig:
    return ModelConfig.model_validate({**SIZES, "n_layers": 2, **settings, **others})


def translator_config(settings: Mapping[str, Any], **others: Any) -> EncoderDecoderConfig:
    return EncoderDecoderConfig.model_validate(
        {**SIZES, "n_encoder_layers": 2, "n_decoder_layers": 2, **settings, **others}
    )


def built(kind: str, settings: Mapping[str, Any], dtype: torch.dtype, **others: Any) -> nn.Module:
    """A model of kind "decoder" or "translator"."""
    if kind == "decoder":
        return build_model(decoder_config(settings, **others), 0, dtype=dtype)
    return build_model(translator_config(settings, **others), 0, dtype=dtype)


def decoders(dtype: torch.dtype, **others: Any) -> Iterator[tuple[str, Transformer]]:
    """One model of each kind, in evaluation mode."""
    for name, settings in DECODERS.items():
        yield name, build_model(decoder_config(settings, **others), 0, dtype=dtype).eval()


def translators(dtype: torch.dtype, **others: Any) -> Iterator[tuple[str, EncoderDecoder]]:
    for name, settings in TRANSLATORS.items():
        yield name, build_model(translator_config(settings, **others), 0, dtype=dtype).eval()


def random_tokens(rows: int, tokens: int, *, seed: int = 0, vocabulary: int = VOCABULARY) -> Tensor:
    """(rows, tokens) int64."""
    return torch.randint(vocabulary, (rows, tokens), generator=torch.Generator().manual_seed(seed))
