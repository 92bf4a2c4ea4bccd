"""Named settings of models.

The sizes in `PRESETS` are for decoder-only models, those in `TRANSLATION_PRESETS` for encoder-decoders. The
size of the vocabulary always comes from the tokenizer.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

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
