"""Random numbers by name: what a key draws depends on nothing else that draws."""

from __future__ import annotations

import hashlib

import torch


def keyed_generator(key: str) -> torch.Generator:
    """A generator of its own for each key, on the CPU, so that every device draws alike."""
    digest = hashlib.sha256(key.encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
