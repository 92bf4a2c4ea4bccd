"""When a training counts as diverged."""

from __future__ import annotations

from pydantic import Field

from harness.config import Config


class Divergence(Config):
    """A training has diverged at a loss that is not finite, or above `times_chance` times chance for
    `updates` updates.

    Chance is the loss of a uniform guess, ln(vocabulary) nats.
    """

    times_chance: float = Field(default=3.0, gt=1.0, allow_inf_nan=False)
    updates: int = Field(default=50, gt=0)
