"""A trial: one arm under one condition with one seed in one round, everything resolved, addressed by its
content.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal

from harness.config import Config, canonical_json, digest

Purpose = Literal["train", "tune", "check", "measure"]


class TrialSpec(Config):
    """All that a worker needs to know. `task` names a task, or the invariant where `purpose` is `check`.

    `condition` holds the level names of the factors that are varied but not compared. Trials that train a
    shared model, tune a setting or check an invariant belong to no round: theirs is 0; rounds of measurements
    count from 1.
    """

    purpose: Purpose
    task: str
    arm: str
    condition: dict[str, str]
    seed: int
    round: int
    config: dict[str, Any]

    @cached_property
    def id(self) -> str:
        return digest(self.plain())

    @cached_property
    def condition_key(self) -> str:
        return canonical_json(self.condition)

    @property
    def title(self) -> str:
        """`generate cache=dynamic new_tokens=64 seed 0 round 3`."""
        return self.titled(self.arm)

    def titled(self, arm: str) -> str:
        """The title with another name for the arm, such as a shorter one."""
        parts = [self.task, arm, *(f"{factor}={level}" for factor, level in self.condition.items())]
        parts.append(f"seed {self.seed}")
        if self.round:
            parts.append(f"round {self.round}")
        return " ".join(part for part in parts if part)
