"""A trial: one arm under one condition with one seed in one round. Everything in it is resolved, and its id
is made of its content.
"""

from __future__ import annotations

import json
import re
from functools import cached_property, lru_cache
from typing import Any, Literal

from pydantic import Field, ValidationError

from harness.config import Config, canonical_json, content, digest
from harness.errors import InputError

Purpose = Literal["train", "tune", "search", "check", "measure", "lead-in"]
"""A `lead-in` opens a round of timings. It is recorded, but its samples are never analysed. The trials of
tuning and of a `search` choose settings, and no verdict is about them.
"""

TRIAL_ID = re.compile(r"(t2-)?[0-9a-f]{16}")
"""An id of this version, or of the first version, which had no prefix."""


class TrialSpec(Config):
    """All that a worker needs to know. `task` names a task, or the invariant if `purpose` is `check`.

    `condition` holds the level names of the factors under `across`. Trials that train a shared model, tune or
    search a setting, or check an invariant belong to no round: their `round` is 0. Rounds of measurements,
    with their lead-ins, count from 1.
    `seed` is an index, by which trials are paired. Generators draw from `generator_seed`, or from the index
    if it is None.
    """

    purpose: Purpose
    task: str
    arm: str
    condition: dict[str, str]
    seed: int
    round: int
    config: dict[str, Any]
    generator_seed: int | None = Field(default=None, exclude_if=lambda value: value is None)

    @property
    def generator(self) -> int:
        """The seed that the generators of the trial draw from."""
        return self.seed if self.generator_seed is None else self.generator_seed

    @cached_property
    def id(self) -> str:
        """`t2-` and a digest of the content. Settings at their defaults do not enter it, so that a new
        setting with a default changes no id.
        """
        others = content(self.model_copy(update={"config": {}}))  # the config has a content of its own
        return f"t2-{digest({**others, 'config': self.config_content})}"

    @property
    def config_content(self) -> dict[str, Any]:
        """The config without the settings that are at their defaults."""
        if self.purpose != "check":
            return _config_content(self.task, canonical_json(self.config))
        task, configs = self.config["task"], self.config["configs"]
        return {
            "task": task,
            "configs": [_config_content(task, canonical_json(config)) for config in configs],
        }

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


@lru_cache(maxsize=4096)
def current_id(spec_json: str, stored_id: str) -> str:
    """The id that a stored trial has by the rules of today, whichever version of the code stored it; the
    stored id if the code of today cannot read the trial.
    """
    try:
        return TrialSpec.model_validate_json(spec_json).id
    except ValidationError:
        return stored_id


def first_id(spec_json: str) -> str:
    """The id that the first version of the code gave to a trial that it stored."""
    return digest(json.loads(spec_json))


@lru_cache(maxsize=4096)
def _config_content(task: str, config_json: str) -> dict[str, Any]:
    """The content of a task's config; all of the config if the code of today cannot read it."""
    from harness.tasks.registry import task_class  # it imports numpy, which readers of the store do not need

    config: dict[str, Any] = json.loads(config_json)
    try:
        return content(task_class(task).read(config))
    except (InputError, ValidationError):
        return config
