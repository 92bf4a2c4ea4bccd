"""T5 (Raffel et al. 2020): relative biases, unscaled attention, RMSNorm, a separate head width, no biases."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from harness.models.config import RelativePosition
from harness.models.position import bucket
from tests.models.references.reference import copy_weights, random_reference
from tests.models.references.translation_parity import (
    VOCAB_SIZE,
    TranslationPair,
    TranslationParity,
    empty_translator,
)

transformers = pytest.importorskip("transformers", reason="the references are models of transformers")

_ATTENTION = {letter: letter for letter in "qkv"} | {"out": "o"}
_FEEDFORWARD = {"plain": {"up": "wi", "down": "wo"}, "gated": {"gate": "wi_0", "up": "wi_1", "down": "wo"}}


def names(feedforward: str) -> dict[str, str]:
    """Layers are numbered within a block: self-attention, cross-attention in the decoder, feed-forward."""
    mapped = {"embedding": "shared"}
    for stack, parts in (
        ("encoder", ("attention", "feedforward")),
        ("decoder", ("attention", "cross_attention", "feedforward")),
    ):
        mapped[f"{stack}.final_norm"] = f"{stack}.final_layer_norm"
        mapped[f"{stack}.position.table"] = f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias"
        for number, part in enumerate(parts):
            layer, inner = f"{stack}.block.*.layer.{number}", _ATTENTION
            theirs = {"attention": "SelfAttention", "cross_attention": "EncDecAttention"}.get(part)
            if theirs is None:
                theirs, inner = "DenseReluDense", _FEEDFORWARD[feedforward]
            mapped[f"{stack}.blocks.*.{part}_norm"] = f"{layer}.layer_norm"
            for our_name, their_name in inner.items():
                mapped[f"{stack}.blocks.*.{part}.{our_name}"] = f"{layer}.{theirs}.{their_name}"
    return mapped


T5_1_0: dict[str, Any] = {"feed_forward_proj": "relu"}
T5_1_1: dict[str, Any] = {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}


@pytest.fixture(scope="module", params=[T5_1_0, T5_1_1], ids=["1.0", "1.1"])
def pair(request: pytest.FixtureRequest) -> TranslationPair:
    config = transformers.T5Config(
        vocab_size=VOCAB_SIZE,
        d_model=24,
        d_kv=8,
        d_ff=40,
        num_layers=3,  # as many in the decoder: the reference makes its cache by this number
        num_heads=4,
        relative_attention_num_buckets=8,
        relative_attention_max_distance=10,
        attn_implementation="eager",
        **request.param,
    )
    reference = random_reference(transformers.T5ForConditionalGeneration, config, seed=11)
    gated = config.is_gated_act
    ours = empty_translator(
        n_encoder_layers=3,
        position={"kind": "relative", "buckets": 8, "max_distance": 10},
        norm={"kind": "rmsnorm"},
        attention={"head_width": 8, "qkv_bias": False, "out_bias": False, "scale": 1.0},
        feedforward={"kind": "gated" if gated else "plain", "bias": False},
        activation="gelu-tanh" if gated else "relu",
        # 1.1 does not scale; that its output is not tied either, the reference no longer offers.
        output={"scale": "one" if gated else "inverse-sqrt-width"},
    )
    copy_weights(ours, reference.state_dict(), names("gated" if gated else "plain"))
    return TranslationPair(ours=ours, reference=reference)


class TestT5(TranslationParity):
    """The same weights, the same numbers."""


@pytest.mark.parametrize("buckets", [8, 32, 64])
@pytest.mark.parametrize("max_distance", [40, 128, 256])
@pytest.mark.parametrize("causal", [False, True])
def test_every_offset_is_in_the_bucket_that_checkpoints_were_trained_with(
    buckets: int, max_distance: int, *, causal: bool
) -> None:
    """In float32, as the reference computes it: on the edge of a bucket rounding decides."""
    offsets = torch.arange(-300, 301)
    expected = transformers.models.t5.modeling_t5.T5Attention._relative_position_bucket(
        offsets, bidirectional=not causal, num_buckets=buckets, max_distance=max_distance
    )
    settings = RelativePosition(buckets=buckets, max_distance=max_distance)
    clamped = offsets.clamp(-max_distance, max_distance).tolist()  # as `Relative` does
    ours = torch.tensor([bucket(offset, settings, causal=causal) for offset in clamped])
    assert offsets[ours != expected].tolist() == []
