"""Marian (Junczys-Dowmunt et al. 2018): sines before cosines, post-norm, shared or separate vocabularies."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from harness.models.encoder_decoder import EncoderDecoder
from harness.models.position import Sinusoidal
from tests.models.references.names import BART
from tests.models.references.reference import copy_weights, random_reference
from tests.models.references.translation_parity import (
    SOURCE_VOCAB_SIZE,
    VOCAB_SIZE,
    TranslationPair,
    TranslationParity,
    empty_translator,
)

transformers = pytest.importorskip("transformers", reason="the references are models of transformers")


@pytest.fixture(scope="module", params=[True, False], ids=["shared", "separate"])
def pair(request: pytest.FixtureRequest) -> TranslationPair:
    shared: bool = request.param
    config = transformers.MarianConfig(
        vocab_size=VOCAB_SIZE if shared else SOURCE_VOCAB_SIZE,
        decoder_vocab_size=VOCAB_SIZE,
        share_encoder_decoder_embeddings=shared,
        d_model=24,
        encoder_layers=2,
        decoder_layers=3,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=40,
        decoder_ffn_dim=40,
        max_position_embeddings=48,
        activation_function="swish",
        scale_embedding=True,
        pad_token_id=0,
        forced_eos_token_id=None,
        attn_implementation="eager",
    )
    reference = random_reference(transformers.MarianMTModel, config, seed=4, spread=0.1)
    ours = empty_translator(
        source_vocab_size=None if shared else SOURCE_VOCAB_SIZE,
        position={"kind": "sinusoidal", "layout": "halves"},
        norm_placement="post",
        activation="silu",
        output={"bias": True},
    )
    state = {name: tensor for name, tensor in reference.state_dict().items() if "embed_positions" not in name}
    copy_weights(ours, {**state, "output_bias.bias": state["final_logits_bias"][0]}, BART)
    share_positions(ours, reference)
    return TranslationPair(ours=ours, reference=reference)


@torch.no_grad()
def share_positions(ours: EncoderDecoder, reference: Any) -> None:
    """Its table is rounded to float32 even in float64: the same but for that, it is replaced by ours."""
    for stack in ("encoder", "decoder"):
        position = ours.get_submodule(stack).position
        assert isinstance(position, Sinusoidal)
        theirs = reference.get_submodule(f"model.{stack}").embed_positions.weight
        torch.testing.assert_close(position.table.float().double(), theirs, rtol=0, atol=1e-7)
        theirs.copy_(position.table)


class TestMarian(TranslationParity):
    """The same weights, the same numbers."""
