"""BLOOM (Le Scao et al. 2022): ALiBi, a norm on the embeddings, GELU by tanh."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from torch import Tensor, nn

from tests.models.references.decoder_parity import (
    VOCAB_SIZE,
    DecoderPair,
    DecoderParity,
    empty_decoder,
)
from tests.models.references.reference import copy_weights, random_reference

transformers = pytest.importorskip("transformers", reason="the references are models of transformers")

NAMES = {
    "embedding": "transformer.word_embeddings",
    "embedding_norm": "transformer.word_embeddings_layernorm",
    "blocks.*.attention_norm": "transformer.h.*.input_layernorm",
    "blocks.*.attention.qkv": "transformer.h.*.self_attention.query_key_value",
    "blocks.*.attention.out": "transformer.h.*.self_attention.dense",
    "blocks.*.feedforward_norm": "transformer.h.*.post_attention_layernorm",
    "blocks.*.feedforward.up": "transformer.h.*.mlp.dense_h_to_4h",
    "blocks.*.feedforward.down": "transformer.h.*.mlp.dense_4h_to_h",
    "final_norm": "transformer.ln_f",
    "unembedding": "lm_head",
}


# Six heads are no power of two: their slopes come from two series.
@pytest.fixture(scope="module", params=[4, 6])
def pair(request: pytest.FixtureRequest) -> DecoderPair:
    n_heads: int = request.param
    config = transformers.BloomConfig(
        vocab_size=VOCAB_SIZE,
        hidden_size=24,
        n_layer=3,
        n_head=n_heads,
        tie_word_embeddings=False,
        attn_implementation="eager",
    )
    reference = random_reference(transformers.BloomForCausalLM, config, seed=8)
    ours = empty_decoder(
        n_heads=n_heads,
        d_ff=96,
        position={"kind": "alibi"},
        activation="gelu-tanh",
        embedding_norm={"kind": "layernorm"},
        attention={"projection": "fused"},
        tie_embeddings=False,
    )
    copy_weights(ours, all_q_all_k_all_v(reference.state_dict(), n_heads=n_heads), NAMES)
    return DecoderPair(ours=ours, reference=with_exact_gelu(reference))


def all_q_all_k_all_v(state: Mapping[str, Tensor], *, n_heads: int) -> dict[str, Tensor]:
    """Its rows are those of q, k and v of the first head, then of the second."""
    return {
        name: tensor.view(n_heads, 3, -1, *tensor.shape[1:]).transpose(0, 1).flatten(0, 2)
        if ".query_key_value." in name
        else tensor
        for name, tensor in state.items()
    }


def with_exact_gelu(reference: Any) -> Any:
    """Its own has sqrt(2 / pi) to eight digits, which is worth about 1e-9 of the logits."""
    for block in reference.transformer.h:
        block.mlp.gelu_impl = nn.GELU(approximate="tanh")
    return reference


class TestBloom(DecoderParity):
    """The same weights, the same numbers."""
