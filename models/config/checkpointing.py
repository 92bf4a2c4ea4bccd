"""Activation checkpointing: the backward pass computes some activations again, so that the forward pass need
not store them (Chen et al. 2016, §3).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from harness.models.config.base import Count, Frozen


class NoCheckpointing(Frozen):
    """All activations are stored."""

    kind: Literal["none"] = "none"


class BlockCheckpointing(Frozen):
    """Only the input of every k-th block is stored; 1 means all blocks."""

    kind: Literal["blocks"] = "blocks"
    every: Count = 1
    """The number of blocks of which only the input of the first one is stored."""


class AttentionCheckpointing(Frozen):
    """Only the input of every attention layer is stored, whose logits grow with the square of the length."""

    kind: Literal["attention"] = "attention"


Checkpointing = Annotated[
    NoCheckpointing | BlockCheckpointing | AttentionCheckpointing, Field(discriminator="kind")
]
