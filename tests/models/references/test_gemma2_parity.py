"""Gemma 2 (Gemma Team 2024): norms on both sides with gain 1 + weight, windows every other layer, two soft
caps.
"""

from __future__ import annotations

import pytest

from tests.models.references.decoder_parity import VOCAB_SIZE, DecoderPair, DecoderParity, empty_decoder
from tests.models.references.names import LLAMA
from tests.models.references.reference import copy_weights, random_reference

transformers = pytest.importorskip("transformers", reason="the references are models of transformers")

NAMES = {
    **LLAMA,
    "blocks.*.attention_output_norm": "model.layers.*.post_attention_layernorm",
    "blocks.*.feedforward_norm": "model.layers.*.pre_feedforward_layernorm",
    "blocks.*.feedforward_output_norm": "model.layers.*.post_feedforward_layernorm",
}


@pytest.fixture(scope="module")
def pair() -> DecoderPair:
    config = transformers.Gemma2Config(
        vocab_size=VOCAB_SIZE,
        hidden_size=24,
        intermediate_size=40,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        query_pre_attn_scalar=5,
        sliding_window=6,
        # Small caps: they must bend what tiny models compute.
        attn_logit_softcapping=2.0,
        final_logit_softcapping=3.0,
        tie_word_embeddings=False,
        max_position_embeddings=48,
        attn_implementation="eager",
    )
    assert config.layer_types == ["sliding_attention", "full_attention", "sliding_attention"]
    reference = random_reference(transformers.Gemma2ForCausalLM, config, seed=0)
    ours = empty_decoder(
        norm={"kind": "rmsnorm", "gain": "one-plus-weight"},
        norm_placement="both",
        embedding_scale="sqrt-width",
        attention={
            "n_kv_heads": 2,
            "head_width": 8,
            "qkv_bias": False,
            "out_bias": False,
            "scale": 5**-0.5,
            "kernel": {"kind": "materialised"},
            "windows": [6, None],
            "soft_cap": 2.0,
        },
        feedforward={"kind": "gated"},
        activation="gelu-tanh",
        output={"soft_cap": 3.0},
        tie_embeddings=False,
    )
    copy_weights(ours, reference.state_dict(), NAMES)
    return DecoderPair(ours=ours, reference=reference)


class TestGemma2(DecoderParity):
    """The same weights, the same numbers."""
