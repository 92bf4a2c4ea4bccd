"""The loss that a model is trained on, and how it is computed."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from harness.models.config.base import Count, Frozen, Probability


class WholeLogits(Frozen):
    """All logits at once: the reference."""

    kind: Literal["whole"] = "whole"


class ChunkedLogits(Frozen):
    """Logits of so many positions at a time, with their gradients, so that the logits of a batch never all
    exist.

    512 positions suit the caches of a CPU. A GPU has work for more: an H200 trains the preset "small" 1.5
    times as fast with 2048.
    """

    kind: Literal["chunked"] = "chunked"
    positions: Count = 512
    """The number of positions whose logits exist at the same time."""


class LossConfig(Frozen):
    """Cross-entropy with a share of the target spread over the vocabulary (Szegedy et al. 2016, §7).

    `z_loss` times the squared log of the softmax's denominator is added (Chowdhery et al. 2022, §5).
    """

    label_smoothing: Probability = 0.0
    """The share of the target that is spread over the whole vocabulary."""

    z_loss: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = 0.0
    """The weight of the squared logarithm of the softmax's sum, which keeps logits small."""

    logits: Annotated[WholeLogits | ChunkedLogits, Field(discriminator="kind")] = WholeLogits()
    """How the logits of a batch are computed."""
