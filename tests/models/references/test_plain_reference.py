"""The transformer against `plain_transformer`: logits in float64, every part in turn and in mixtures."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from harness.models.config import AnyModelConfig, EncoderDecoderConfig, ModelConfig
from harness.models.init import build_model
from tests.models.references.plain_transformer import plain_logits, plain_translation_logits

SIZES = {"vocab_size": 11, "d_model": 16, "n_heads": 4, "d_ff": 10, "max_positions": 12, "init_std": 0.4}
MATERIALISED = {"kind": "materialised"}
NO_BIAS = {"qkv_bias": False, "out_bias": False}

PARTS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "sinusoidal": {"position": {"kind": "sinusoidal"}},
    "sines before cosines": {
        "position": {"kind": "sinusoidal", "layout": "halves"},
        "embedding_scale": "one",
    },
    "learned": {"position": {"kind": "learned"}},
    "learned from 2 on": {"position": {"kind": "learned", "offset": 2}},
    "rotary in pairs": {"position": {"kind": "rotary", "layout": "interleaved", "base": 100.0}},
    "half rotary": {"position": {"kind": "rotary", "fraction": 0.5}},
    "half rotary in pairs": {"position": {"kind": "rotary", "fraction": 0.5, "layout": "interleaved"}},
    "alibi": {"position": {"kind": "alibi"}},
    "relative": {"position": {"kind": "relative", "buckets": 8, "max_distance": 6}},
    "no positions": {"position": {"kind": "none"}},
    "post-norm": {"norm_placement": "post"},
    "post-norm and one at the end": {"norm_placement": "post", "final_norm": "always"},
    "pre-norm and none at the end": {"final_norm": "never"},
    "norms on both sides": {"norm_placement": "both", "norm": {"kind": "rmsnorm", "gain": "one-plus-weight"}},
    "norms on the output": {"norm_placement": "output", "norm": {"kind": "rmsnorm"}},
    "norm without parameters": {"norm": {"kind": "non-parametric"}},
    "norm on the embedding": {"embedding_norm": {"kind": "layernorm"}},
    "parallel": {"feedforward_placement": "parallel"},
    "parallel, both sides": {"feedforward_placement": "parallel", "norm_placement": "both"},
    "gated": {"feedforward": {"kind": "gated"}, "activation": "silu"},
    "gated with biases": {"feedforward": {"kind": "gated", "bias": True}, "activation": "gelu-tanh"},
    "relu": {"activation": "relu", "feedforward": {"kind": "plain", "bias": False}},
    "leaky relu": {"activation": "leaky-relu"},
    "squared relu": {"activation": "squared-relu"},
    "grouped queries": {"attention": {"n_kv_heads": 2}},
    "one head of keys": {"attention": {"n_kv_heads": 1, "kernel": MATERIALISED}},
    "wide heads": {"attention": {"head_width": 6}},
    "no biases, unscaled": {"attention": {**NO_BIAS, "scale": 1.0}},
    "fused": {"attention": {"projection": "fused", "n_kv_heads": 2}},
    "fused and copied": {"attention": {"projection": "fused-copied"}},
    "normed heads": {"attention": {"qk_norm": {"over": "head"}}},
    "normed queries": {"attention": {"qk_norm": {"over": "all-heads", "norm": {"kind": "layernorm"}}}},
    "windows": {"attention": {"windows": [3, None]}},
    "windows, written out": {"attention": {"windows": [3, 1, None], "kernel": MATERIALISED}},
    "capped": {"attention": {"kernel": MATERIALISED, "soft_cap": 0.7}, "output": {"soft_cap": 1.5}},
    "clamped": {"attention": {"kernel": MATERIALISED, "clamp": 0.3}},
    "sdpa": {"attention": {"kernel": {"kind": "sdpa"}, "n_kv_heads": 2}},
    "math": {"attention": {"kernel": {"kind": "sdpa", "backends": ["math"]}}},
    "untied, biased, scaled": {
        "tie_embeddings": False,
        "output": {"bias": True, "scale": "inverse-sqrt-width"},
    },
    "word vectors": {
        "embedding": {"kind": "pretrained", "width": 5},
        "tie_embeddings": False,
        "embedding_scale": "sqrt-width",
    },
}
MIXTURES: dict[str, dict[str, Any]] = {
    "gemma-2": {
        **PARTS["norms on both sides"],
        **PARTS["gated with biases"],
        "embedding_scale": "sqrt-width",
        "output": {"soft_cap": 2.0},
        "attention": {
            **NO_BIAS,
            "n_kv_heads": 2,
            "head_width": 6,
            "scale": 0.3,
            "soft_cap": 1.0,
            "windows": [3, None],
            "kernel": MATERIALISED,
        },
    },
    "t5": {
        **PARTS["relative"],
        "norm": {"kind": "rmsnorm"},
        "activation": "relu",
        "feedforward": {"kind": "plain", "bias": False},
        "output": {"scale": "inverse-sqrt-width"},
        "attention": {**NO_BIAS, "scale": 1.0, "head_width": 3},
    },
    "bart": {
        **PARTS["learned from 2 on"],
        **PARTS["post-norm"],
        **PARTS["norm on the embedding"],
        "output": {"bias": True},
    },
    "alibi with windows": {**PARTS["alibi"], **PARTS["windows"]},
    "qwen": {**PARTS["normed heads"], **PARTS["gated"], "tie_embeddings": False},
}
CASES = {**PARTS, **MIXTURES}


def shaken(config: AnyModelConfig) -> nn.Module:
    """Biases and gains are constant at first and would hide a mistake."""
    generator = torch.Generator().manual_seed(5)
    vectors = torch.randn(11, 5, generator=generator) if config.embedding.kind == "pretrained" else None
    model: nn.Module = build_model(config, 3, dtype=torch.float64, vectors=vectors).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return model


def assert_same(logits: torch.Tensor, plain: torch.Tensor) -> None:
    assert (logits - plain).abs().max() <= 1e-10 * plain.abs().max()


@torch.no_grad()
@pytest.mark.parametrize("case", CASES)
def test_logits_are_those_of_the_plain_transformer(case: str) -> None:
    config = ModelConfig.model_validate({**SIZES, "n_layers": 2, "dropout": 0.3, **CASES[case]})
    model = shaken(config)
    tokens = torch.randint(11, (2, 9), generator=torch.Generator().manual_seed(5))
    plain = torch.stack([plain_logits(config, model.state_dict(), row) for row in tokens.tolist()])
    assert_same(model(tokens), plain)


TRANSLATIONS: list[tuple[str, int | None]] = [
    (case, None) for case in CASES if case not in {"math", "clamped", "leaky relu", "relu"}
]
TRANSLATIONS += [(case, 11) for case in ("as it is", "t5", "bart")]


@torch.no_grad()
@pytest.mark.parametrize(("case", "source_vocab_size"), TRANSLATIONS)
def test_translation_logits_are_those_of_the_plain_transformer(
    case: str, source_vocab_size: int | None
) -> None:
    settings = {**SIZES, "n_encoder_layers": 1, "n_decoder_layers": 2, **CASES[case]}
    config = EncoderDecoderConfig.model_validate({**settings, "source_vocab_size": source_vocab_size})
    model = shaken(config)
    generator = torch.Generator().manual_seed(5)
    source, target = (torch.randint(11, (2, n), generator=generator) for n in (7, 5))
    valid = torch.ones(2, 7, dtype=torch.bool)
    valid[0, 4:] = False
    logits = model(source, target, source_valid=valid)
    weights = model.state_dict()
    rows = zip([source[0, :4].tolist(), source[1].tolist()], target.tolist(), strict=True)
    assert_same(logits, torch.stack([plain_translation_logits(config, weights, *row) for row in rows]))
