"""Tiny models of transformers with random weights."""

from __future__ import annotations

from typing import Any

import torch

from harness.models.config.hugging_face import HuggingFaceConfig
from harness.models.init import build_model
from harness.models.own import OwnDecoder

_LLAMA = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "num_hidden_layers": 2,
}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "gpt2": {"model_type": "gpt2", "n_embd": 16, "n_head": 2, "n_layer": 2},
    "llama": {"model_type": "llama", **_LLAMA},
    "qwen2": {"model_type": "qwen2", "tie_word_embeddings": True, **_LLAMA},
    "qwen3": {"model_type": "qwen3", "head_dim": 8, **_LLAMA},
}


def config(name: str, **settings: Any) -> HuggingFaceConfig:
    document = {"architecture": ARCHITECTURES[name], "vocab_size": 13, "max_positions": 24, **settings}
    return HuggingFaceConfig.model_validate(document)


def model(name: str, seed: int = 0, dtype: torch.dtype = torch.float64, **settings: Any) -> OwnDecoder:
    """In evaluation mode, with weights that are large enough for texts to vary."""
    built = build_model(config(name, **settings), seed, dtype=dtype).eval()
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.mul_(10 if parameter.ndim > 1 else 1)
    return built
