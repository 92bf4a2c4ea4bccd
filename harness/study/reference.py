"""How fast a training can learn at most, as far as anybody has seen: beyond it something is wrong, not good."""

from __future__ import annotations

from pydantic import Field

from harness.config import Config


class Reference(Config):
    """By `updates` updates nobody's `metric` was below `at_least`. A training that is makes its arm invalid.

    Text of the test in the training, labels that leak through a mask, a loss averaged over padding: each
    learns too fast.
    """

    source: str
    metric: str = "loss"
    updates: int = Field(gt=0)
    at_least: float = Field(gt=0.0, allow_inf_nan=False)
