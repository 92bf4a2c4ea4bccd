"""BART (Lewis et al. 2020): post-norm, learned positions from row 2 on, a norm on the embeddings and
a bias on the logits.
"""

from __future__ import annotations

import pytest

from tests.models.references.names import BART
from tests.models.references.reference import copy_weights, random_reference
from tests.models.references.translation_parity import (
    VOCAB_SIZE,
    TranslationPair,
    TranslationParity,
    empty_translator,
)

transformers = pytest.importorskip("transformers", reason="the references are models of transformers")


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "scaled"])
def pair(request: pytest.FixtureRequest) -> TranslationPair:
    scaled: bool = request.param
    config = transformers.BartConfig(
        vocab_size=VOCAB_SIZE,
        d_model=24,
        encoder_layers=2,
        decoder_layers=3,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=40,
        decoder_ffn_dim=40,
        max_position_embeddings=48,
        scale_embedding=scaled,
        forced_eos_token_id=None,
        attn_implementation="eager",
    )
    reference = random_reference(transformers.BartForConditionalGeneration, config, seed=14, spread=0.15)
    ours = empty_translator(
        position={"kind": "learned", "offset": 2},
        norm_placement="post",
        embedding_norm={"kind": "layernorm"},
        embedding_scale="sqrt-width" if scaled else "one",
        activation="gelu",
        output={"bias": True},
    )
    state = reference.state_dict()
    copy_weights(ours, {**state, "output_bias.bias": state["final_logits_bias"][0]}, BART)
    return TranslationPair(ours=ours, reference=reference)


class TestBart(TranslationParity):
    """The same weights, the same numbers."""
