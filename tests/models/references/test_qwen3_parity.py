"""Qwen3 (Yang et al. 2025): LLaMA with normalised queries and keys in each head, before they are rotated."""

from __future__ import annotations

import pytest

from tests.models.references.decoder_parity import VOCAB_SIZE, DecoderPair, DecoderParity, empty_decoder
from tests.models.references.names import LLAMA
from tests.models.references.reference import copy_weights, random_reference

transformers = pytest.importorskip("transformers", reason="the references are models of transformers")

NAMES = {
    **LLAMA,
    "blocks.*.attention.qk_norm.q": "model.layers.*.self_attn.q_norm",
    "blocks.*.attention.qk_norm.k": "model.layers.*.self_attn.k_norm",
}


@pytest.fixture(scope="module")
def pair() -> DecoderPair:
    config = transformers.Qwen3Config(
        vocab_size=VOCAB_SIZE,
        hidden_size=24,
        intermediate_size=40,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=48,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        tie_word_embeddings=False,
        attn_implementation="eager",
    )
    reference = random_reference(transformers.Qwen3ForCausalLM, config, seed=0)
    ours = empty_decoder(
        position={"kind": "rotary", "base": 1e6},
        norm={"kind": "rmsnorm"},
        attention={
            "n_kv_heads": 2,
            "head_width": 8,
            "qkv_bias": False,
            "out_bias": False,
            "qk_norm": {"norm": {"kind": "rmsnorm"}},
        },
        feedforward={"kind": "gated"},
        activation="silu",
        tie_embeddings=False,
    )
    copy_weights(ours, reference.state_dict(), NAMES)
    return DecoderPair(ours=ours, reference=reference)


class TestQwen3(DecoderParity):
    """The same weights, the same numbers."""
