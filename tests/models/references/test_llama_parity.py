"""LLaMA (Touvron et al. 2023): rotary positions, RMSNorm, SwiGLU, no biases, grouped queries."""

from __future__ import annotations

from typing import Any

import pytest

from tests.models.references.decoder_parity import VOCAB_SIZE, DecoderPair, DecoderParity, empty_decoder
from tests.models.references.names import LLAMA
from tests.models.references.reference import copy_weights, random_reference

transformers = pytest.importorskip("transformers", reason="the references are models of transformers")


@pytest.fixture(
    scope="module",
    params=[
        pytest.param({"n_kv_heads": 4, "tied": False}, id="multi-head"),
        pytest.param({"n_kv_heads": 2, "tied": True}, id="grouped-query"),
        pytest.param({"n_kv_heads": 1, "tied": True, "head_width": 8}, id="multi-query-wide-heads"),
        pytest.param({"n_kv_heads": 2, "tied": False, "kernel": {"kind": "materialised"}}, id="materialised"),
    ],
)
def pair(request: pytest.FixtureRequest) -> DecoderPair:
    settings: dict[str, Any] = dict(request.param)
    tied = settings.pop("tied")
    config = transformers.LlamaConfig(
        vocab_size=VOCAB_SIZE,
        hidden_size=24,
        intermediate_size=40,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=settings["n_kv_heads"],
        head_dim=settings.get("head_width", 6),
        max_position_embeddings=48,
        rope_parameters={"rope_type": "default", "rope_theta": 500.0},
        tie_word_embeddings=tied,
        attn_implementation="eager",
    )
    reference = random_reference(transformers.LlamaForCausalLM, config, seed=0)
    ours = empty_decoder(
        position={"kind": "rotary", "base": 500.0},
        norm={"kind": "rmsnorm"},
        attention={"qkv_bias": False, "out_bias": False, **settings},
        feedforward={"kind": "gated"},
        activation="silu",
        tie_embeddings=tied,
    )
    copy_weights(ours, reference.state_dict(), LLAMA)
    return DecoderPair(ours=ours, reference=reference)


class TestLlama(DecoderParity):
    """The same weights, the same numbers."""
