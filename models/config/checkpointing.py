"""Activation checkpointing: what is computed again in the backward pass instead of being kept (Chen et al.

2016, §3).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from harness.models.config.base import Count, Frozen


class NoCheckpointing(Frozen):
    """Everything is kept."""

    kind: Literal["none"] = "none"


class BlockCheckpointing(Frozen):
    """Of every k-th block only the input is kept; k = 1 is every block."""

    kind: Literal["blocks"] = "blocks"
    every: Count = 1


class AttentionCheckpointing(Frozen):
    """Of every attention layer only the input is kept: its logits grow with the square of the length."""

    kind: Literal["attention"] = "attention"


Checkpointing = Annotated[
    NoCheckpointing | BlockCheckpointing | AttentionCheckpointing, Field(discriminator="kind")
]
