"""GPT-2 of the `transformers` library, and ours and CTranslate2's with its weights: all three decode the same
tokens.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ctranslate2
import torch
from ctranslate2.converters.transformers import GPT2Loader
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel

from harness.models.config import ModelConfig
from harness.models.init import build_model
from harness.models.transformer import Transformer
from tests.benchmarks.peers.cases import Size, Tuning


def hugging_face(size: Size, *, positions: int, tuning: Tuning) -> GPT2LMHeadModel:
    """Without dropout.

    Tuned, its activation is torch's kernel for the same function instead of one spelt out.
    """
    torch.manual_seed(0)
    settings: Any = GPT2Config  # its own hints leave out what its base class takes
    config = settings(
        vocab_size=size.vocab_size,
        n_positions=positions,
        n_embd=size.d_model,
        n_layer=size.n_layers,
        n_head=size.n_heads,
        n_inner=size.d_ff,
        activation_function="gelu_new" if tuning == "stock" else "gelu_pytorch_tanh",
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=0,
        eos_token_id=1,
        attn_implementation="sdpa",
    )
    return GPT2LMHeadModel(config)


def ours(size: Size, *, positions: int) -> Transformer:
    """The same architecture out of `models/`, with the peer's weights."""
    config = ModelConfig.model_validate(
        {
            "vocab_size": size.vocab_size,
            "d_model": size.d_model,
            "n_layers": size.n_layers,
            "n_heads": size.n_heads,
            "d_ff": size.d_ff,
            "max_positions": positions,
            "position": {"kind": "learned"},
            "activation": "gelu-tanh",
            "attention": {"projection": "fused"},
        }
    )
    model = build_model(config, 0)
    peer = hugging_face(size, positions=positions, tuning="stock").state_dict()
    model.load_state_dict(_renamed(peer, size.n_layers))
    return model


def _renamed(peer: dict[str, Tensor], n_layers: int) -> dict[str, Tensor]:
    """Its linear layers keep their weights transposed."""
    state = {
        "embedding.weight": peer["transformer.wte.weight"],
        "position.table.weight": peer["transformer.wpe.weight"],
    }
    parts = {
        "attention_norm": ("ln_1", False),
        "feedforward_norm": ("ln_2", False),
        "attention.qkv": ("attn.c_attn", True),
        "attention.out": ("attn.c_proj", True),
        "feedforward.up": ("mlp.c_fc", True),
        "feedforward.down": ("mlp.c_proj", True),
    }
    for layer in range(n_layers):
        for name, (theirs, transposed) in parts.items():
            weight = peer[f"transformer.h.{layer}.{theirs}.weight"]
            state[f"blocks.{layer}.{name}.weight"] = weight.T if transposed else weight
            state[f"blocks.{layer}.{name}.bias"] = peer[f"transformer.h.{layer}.{theirs}.bias"]
    for kind in ("weight", "bias"):
        state[f"final_norm.{kind}"] = peer[f"transformer.ln_f.{kind}"]
    return state


def ctranslate(size: Size, folder: Path, *, positions: int, threads: int) -> ctranslate2.Generator:
    """CTranslate2's engine in fp32, converted from the same weights; its tokens are the numbers as text."""
    model = hugging_face(size, positions=positions, tuning="stock")
    spec = GPT2Loader().get_model_spec(model)
    spec.register_vocabulary([str(token) for token in range(size.vocab_size)])
    spec.config.bos_token = "0"
    spec.config.eos_token = "1"
    spec.config.unk_token = "2"
    spec.validate()
    folder.mkdir(parents=True, exist_ok=True)
    spec.save(str(folder))
    return ctranslate2.Generator(
        str(folder), device="cpu", compute_type="float32", inter_threads=1, intra_threads=threads
    )
