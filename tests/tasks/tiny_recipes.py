"""Tiny settings of tasks: a decoder on bytes of running text, and a translator of a tiny language."""

from __future__ import annotations

from pathlib import Path
from typing import Any

RECIPE: dict[str, Any] = {
    "corpus": "python-docs",
    "tokenizer": {"kind": "bytes"},
    "model": {"d_model": 16, "n_layers": 1, "n_heads": 2, "d_ff": 32, "max_positions": 64, "dropout": 0.1},
    "batch": 4,
    "length": 32,
    "updates": 8,
    "optimizer": {"kind": "adamw", "lr": 1e-2},
    "schedule": {"kind": "cosine", "warmup": 2},
    "evaluate_every": 4,
    "evaluation_tokens": 256,
}
NOUNS = ("cat", "dog", "house", "tree", "book")
VERBS = ("eats", "sees", "likes", "finds")


def translation(pairs: Path, **changes: Any) -> dict[str, Any]:
    corpus = {
        "kind": "files",
        "files": [str(pairs)],
        "fractions": {"valid": 0.2, "test": 0.2},
        "source": 1,
        "target": 2,
    }
    train = {
        "corpus": corpus,
        "tokenizer": {"kind": "bytes"},
        "batch": 4,
        "length": 64,
        "updates": 2,
        "model": {
            "preset": "000-mt",
            "d_model": 32,
            "n_heads": 2,
            "d_ff": 64,
            "n_encoder_layers": 1,
            "n_decoder_layers": 1,
        },
        "optimizer": {"kind": "adamw", "lr": 1e-3},
    }
    settings = {
        "model": {"recipe": "tiny", "train": train},
        "sentences": {"corpus": corpus},
        "new_tokens": 20,
        "batch": 8,
    }
    return {**settings, **changes}


def continuation(**changes: Any) -> dict[str, Any]:
    settings = {
        "model": {"recipe": "tiny", "train": RECIPE},
        "prompts": {"corpus": "python-docs", "split": "test", "count": 4, "tokens": 8},
        "new_tokens": 12,
        "batch": 3,
    }
    return {**settings, **changes}
