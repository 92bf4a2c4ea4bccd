"""The JSON schema of factors and conditions: which paths of settings there are, and what levels they have."""

from __future__ import annotations

import re
from typing import Any

from harness.study.describing.settings import DescribedSetting, tag_of_group

NAMED_LEVEL = "NamedLevel"
"""The definition of a level that is a name with settings."""

_NAMED = {"$ref": f"#/$defs/{NAMED_LEVEL}"}
_RECIPE = "train"
"""The key under which the settings of a recipe stand. Their types are those of the task `train`."""


def named_level() -> dict[str, Any]:
    return {
        "type": "object",
        "description": "A name for the level, with the settings that make it, by their paths: "
        "`{rms: {model.norm: {kind: rmsnorm}}}`.",
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": {"type": "object", "minProperties": 1},
    }


def level_schema(task: DescribedSetting, *, other_settings: bool) -> dict[str, Any]:
    """The schema of `compare` and `across` for a task. A factor that is no setting has named levels only,
    unless the task takes `other_settings`.
    """
    typed: dict[str, dict[str, Any]] = {}
    free = []
    for setting in task.all_inside():
        keys = setting.keys[1:]
        if _RECIPE in keys[:-1]:
            continue
        typed.setdefault(".".join(keys), {"options": [], "description": setting.description})["options"] += [
            option for option in setting.options if option.get("type") not in ("array", "object")
        ]
        if kinds := [tag for group in setting.groups if (tag := tag_of_group(group))]:
            about = f"What `{keys[-1]}` is."
            typed.setdefault(".".join((*keys, "kind")), {"options": [{"enum": kinds}], "description": about})
        if any(option.get("additionalProperties") is True for option in setting.options):
            free.append(".".join(keys))
        elif keys[-1] == _RECIPE:
            inside = sorted({inner.keys[-1] for inner in setting.inner()})
            free += [".".join((*keys, key)) for key in inside]
    beginnings = "|".join(re.escape(path) for path in free)
    return {
        "properties": {path: _levels(**about) for path, about in typed.items()},
        **({"patternProperties": {rf"^({beginnings})(\.|$)": {}}} if free else {}),
        "additionalProperties": True if other_settings else {"type": ["array", "null"], "items": _NAMED},
    }


def _levels(options: list[dict[str, Any]], description: str) -> dict[str, Any]:
    """A list of values of one setting, which may stand in several groups. A scale may remove a factor."""
    distinct = [option for number, option in enumerate(options) if option not in options[:number]]
    return {
        "description": description,
        "type": ["array", "null"],
        "items": {"anyOf": [*distinct, _NAMED]} if distinct else _NAMED,
    }
