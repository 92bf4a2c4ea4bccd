"""A trial: one arm under one condition with one seed in one round. Everything in it is resolved, and its id
is made of its content.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Any, Literal, Self

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
        others = {
            "arm": self.arm,
            "purpose": self.purpose,
            "round": self.round,
            "seed": self.seed,
            "task": self.task,
        }
        if self.generator_seed is not None:
            others["generator_seed"] = self.generator_seed
        texts = {name: canonical_json(value) for name, value in others.items()}
        texts |= {"condition": self.condition_key, "config": self._config_text}
        return f"t2-{_digest_of_texts(texts)}"

    @property
    def config_content(self) -> dict[str, Any]:
        """The config without the settings that are at their defaults."""
        known: dict[str, Any] = json.loads(self._config_text)
        return known

    @property
    def _config_text(self) -> str:
        """`config_content` as canonical JSON."""
        if self.purpose != "check":
            return _config_text(self.task, self.config_key)
        task, configs = self.config["task"], self.config["configs"]
        texts = ",".join(_config_text(task, canonical_json(config)) for config in configs)
        return f'{{"configs":[{texts}],"task":{canonical_json(task)}}}'

    @cached_property
    def condition_key(self) -> str:
        """The condition as canonical JSON."""
        return canonical_json(self.condition)

    @cached_property
    def config_key(self) -> str:
        """The config as canonical JSON."""
        return canonical_json(self.config)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy, whose id follows from its own content."""
        copied = super().model_copy(update=update, deep=deep)
        changed = update or {}
        for name, fields in _REMEMBERED.items():
            if fields & changed.keys():
                copied.__dict__.pop(name, None)
        return copied

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


_REMEMBERED = {
    "id": frozenset(TrialSpec.model_fields),
    "condition_key": frozenset({"condition"}),
    "config_key": frozenset({"config"}),
}
"""What a trial remembers once it was asked for, and the fields that it depends on."""


def _digest_of_texts(texts: Mapping[str, str]) -> str:
    """The digest of a mapping (`harness.config.digest`) whose values are given as canonical JSON."""
    text = ",".join(f'"{name}":{texts[name]}' for name in sorted(texts))
    return hashlib.sha256(f"{{{text}}}".encode()).hexdigest()[:16]


def current_id(spec_json: str, stored_id: str) -> str:
    """The id that a stored trial has by the rules of today, whichever version of the code stored it; the
    stored id if the code of today cannot read the trial.
    """
    return read_id(spec_json) or stored_id


def read_id(spec_json: str) -> str | None:
    """The id that a stored trial has by the rules of today; None if the code of today cannot read it."""
    try:
        return TrialSpec.model_validate_json(spec_json).id
    except ValidationError:
        return None


def first_id(spec_json: str) -> str:
    """The id that the first version of the code gave to a trial that it stored."""
    return digest(json.loads(spec_json))


@lru_cache(maxsize=4096)
def _config_text(task: str, config_json: str) -> str:
    """The content of a task's config as canonical JSON; all of the config if the code of today cannot
    read it.
    """
    from harness.tasks.registry import task_class  # it imports numpy, which readers of the store do not need

    config: dict[str, Any] = json.loads(config_json)
    try:
        return canonical_json(content(task_class(task).read(config)))
    except (InputError, ValidationError):
        return config_json
