"""Beam search over sources: Marian of the `transformers` library, and ours and CTranslate2's with its
weights.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ctranslate2
import torch
from ctranslate2.converters.transformers import MarianMTLoader
from torch import Tensor
from transformers import MarianConfig, MarianMTModel

from harness.models.config import EncoderDecoderConfig
from harness.models.cpu_decoding import prepare_for_decoding
from harness.models.decoding.beam_search import beam_search
from harness.models.decoding.config import BeamSearch
from harness.models.encoder_decoder import EncoderDecoder
from harness.models.init import build_model
from tests.benchmarks.peers.cases import Case, Size
from tests.benchmarks.peers.plain_gpt import random_tokens
from tests.models.references.names import BART
from tests.models.references.reference import copy_weights

NEVER = -1e9

# Self-attention's queries, keys and values as one product, which is how CTranslate2 has them.
PARTS = ("q_proj", "k_proj", "v_proj")
FUSED = {
    **{
        ours: theirs
        for ours, theirs in BART.items()
        if not ours.endswith(tuple(f".attention.{p}" for p in "qkv"))
    },
    **{
        f"{stack}.blocks.*.attention.qkv": f"model.{stack}.layers.*.self_attn.qkv"
        for stack in ("encoder", "decoder")
    },
}


def beam_unit(case: Case, contestant: str, threads: int) -> Callable[[], Tensor]:
    """A function that returns the best hypothesis of each source (B, tokens). All contestants must agree."""
    source = random_tokens(case.batch, case.prompt, vocab_size=case.size.vocab_size - 1, seed=0)
    match contestant:
        case "ours":
            return _ours(case, source)
        case "HF Marian":
            return _hugging_face(case, source)
        case "CTranslate2":
            return _ctranslate(case, source, threads)
        case _:
            raise ValueError(f"nobody translates as {contestant!r}")


def marian(size: Size, *, positions: int) -> MarianMTModel:
    """Without dropout; the last token is padding, which the decoder starts from, and the second ends a
    sentence.
    """
    torch.manual_seed(0)
    settings: Any = MarianConfig  # its own hints leave out what its base class takes
    config = settings(
        vocab_size=size.vocab_size,
        d_model=size.d_model,
        encoder_layers=size.n_layers,
        decoder_layers=size.n_layers,
        encoder_attention_heads=size.n_heads,
        decoder_attention_heads=size.n_heads,
        encoder_ffn_dim=size.d_ff,
        decoder_ffn_dim=size.d_ff,
        max_position_embeddings=positions,
        activation_function="relu",
        dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
        scale_embedding=True,
        pad_token_id=size.vocab_size - 1,
        eos_token_id=1,
        decoder_start_token_id=size.vocab_size - 1,
        forced_eos_token_id=None,
        attn_implementation="sdpa",
    )
    return MarianMTModel(config)


def _decided(case: Case) -> MarianMTModel:
    """With gains that make hypotheses vary; nothing ends before its time, and padding is never said."""
    model: Any = marian(case.size, positions=case.prompt + case.tokens)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        # At a gain of one a tied output would repeat the last token for ever.
        model.model.decoder.layers[-1].final_layer_norm.weight.normal_(generator=generator)
        model.final_logits_bias[0, [1, case.size.vocab_size - 1]] = NEVER
    decided: MarianMTModel = model.eval()
    return decided


def _ours(case: Case, source: Tensor) -> Callable[[], Tensor]:
    model = prepare_for_decoding(_with_weights_of(_decided(case), case))
    start = torch.full((case.batch, 1), case.size.vocab_size - 1)
    settings = BeamSearch(width=case.beams)

    def translate() -> Tensor:
        beams = beam_search(
            model.bind(source), start, settings, new_tokens=case.tokens, cache="static", end=1
        )
        return torch.tensor([hypotheses[0].tokens for hypotheses in beams])

    return translate


def _with_weights_of(peer: MarianMTModel, case: Case) -> EncoderDecoder:
    size = case.size
    config = EncoderDecoderConfig.model_validate(
        {
            "vocab_size": size.vocab_size,
            "d_model": size.d_model,
            "n_encoder_layers": size.n_layers,
            "n_decoder_layers": size.n_layers,
            "n_heads": size.n_heads,
            "d_ff": size.d_ff,
            "max_positions": case.prompt + case.tokens,
            "position": {"kind": "sinusoidal", "layout": "halves"},
            "norm_placement": "post",
            "activation": "relu",
            "output": {"bias": True},
            "attention": {"projection": "fused"},
        }
    )
    model = build_model(config, 0).eval()
    state = {name: tensor for name, tensor in peer.state_dict().items() if "embed_positions" not in name}
    state["output_bias.bias"] = state["final_logits_bias"][0]
    for name in [name for name in state if ".self_attn.q_proj." in name]:
        parts = [state.pop(name.replace("q_proj", part)) for part in PARTS]
        state[name.replace("q_proj", "qkv")] = torch.cat(parts)
    copy_weights(model, state, FUSED)
    return model


def _hugging_face(case: Case, source: Tensor) -> Callable[[], Tensor]:
    model: Any = _decided(case)
    mask = torch.ones_like(source)

    def translate() -> Tensor:
        with torch.inference_mode():
            tokens: Tensor = model.generate(
                source,
                attention_mask=mask,
                max_new_tokens=case.tokens,
                num_beams=case.beams,
                do_sample=False,
            )
        return tokens[:, 1:]

    return translate


def _ctranslate(case: Case, source: Tensor, threads: int) -> Callable[[], Tensor]:
    spec = MarianMTLoader().get_model_spec(_decided(case))
    words = [str(token) for token in range(case.size.vocab_size - 1)]
    spec.register_source_vocabulary(words)
    spec.register_target_vocabulary(words)
    spec.config.eos_token, spec.config.unk_token, spec.config.decoder_start_token = "1", "2", "1"
    spec.validate()
    with tempfile.TemporaryDirectory(prefix="peers-") as folder:
        saved = Path(folder) / "model"
        saved.mkdir()
        spec.save(str(saved))
        engine = ctranslate2.Translator(
            str(saved),
            device="cpu",
            compute_type="float32",
            inter_threads=1,
            intra_threads=threads,
        )
    rows = [[str(token) for token in row] for row in source.tolist()]

    def translate() -> Tensor:
        results = engine.translate_batch(
            rows,
            max_batch_size=case.batch,
            beam_size=case.beams,
            max_decoding_length=case.tokens,
            min_decoding_length=case.tokens,
        )
        return torch.tensor([[int(word) for word in result.hypotheses[0]] for result in results])

    return translate
