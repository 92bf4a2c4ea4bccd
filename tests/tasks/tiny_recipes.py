"""Tiny settings of tasks: a decoder on bytes of running text, and a translator of a tiny language."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.tiny_study import recipe

RECIPE = recipe(
    ("max_positions: 64", "max_positions: 64, dropout: 0.1"),
    ("updates: 4", "updates: 8"),
    ("lr: 1e-3", "lr: 1e-2"),
    ("warmup: 1", "warmup: 2"),
    ("evaluate_every: 2", "evaluate_every: 4"),
)
"""Long enough to learn something, with dropout."""
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
