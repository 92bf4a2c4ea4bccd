"""Random numbers by name: the numbers of a key do not depend on anything else that draws."""

from __future__ import annotations

import hashlib

import torch


def keyed_generator(key: str) -> torch.Generator:
    """The generator of a key. It is on the CPU, so that all devices draw the same numbers."""
    digest = hashlib.sha256(key.encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
