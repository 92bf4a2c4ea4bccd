"""GPT-2 (Radford et al. 2019): learned positions, pre-norm, tanh GELU, and one fused
product for queries, keys and values.
"""

from __future__ import annotations

import pytest

from tests.models.references.decoder_parity import VOCAB_SIZE, DecoderPair, DecoderParity, empty_decoder
from tests.models.references.reference import copy_weights, random_reference

transformers = pytest.importorskip("transformers", reason="the references are models of transformers")

NAMES = {
    "embedding": "transformer.wte",
    "position.table": "transformer.wpe",
    "blocks.*.attention_norm": "transformer.h.*.ln_1",
    "blocks.*.attention.qkv": "transformer.h.*.attn.c_attn",
    "blocks.*.attention.out": "transformer.h.*.attn.c_proj",
    "blocks.*.feedforward_norm": "transformer.h.*.ln_2",
    "blocks.*.feedforward.up": "transformer.h.*.mlp.c_fc",
    "blocks.*.feedforward.down": "transformer.h.*.mlp.c_proj",
    "final_norm": "transformer.ln_f",
}


@pytest.fixture(scope="module", params=["fused", "fused-copied"])
def pair(request: pytest.FixtureRequest) -> DecoderPair:
    config = transformers.GPT2Config(
        vocab_size=VOCAB_SIZE,
        n_embd=24,
        n_layer=3,
        n_head=4,
        n_inner=40,
        n_positions=48,
        attn_implementation="eager",
    )
    reference = random_reference(transformers.GPT2LMHeadModel, config, seed=0)
    ours = empty_decoder(
        position={"kind": "learned"}, activation="gelu-tanh", attention={"projection": request.param}
    )
    # Its matrices are stored as (in, out).
    turned = {
        name: tensor.T if ".c_" in name and name.endswith("weight") else tensor
        for name, tensor in reference.state_dict().items()
    }
    copy_weights(ours, turned, NAMES)
    return DecoderPair(ours=ours, reference=reference)


class TestGPT2(DecoderParity):
    """The same weights, the same numbers."""
