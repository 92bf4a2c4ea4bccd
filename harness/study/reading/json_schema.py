"""The JSON schemas of a study and of a recipe, for editors: what a file may contain, with a description of
every key. What depends on the task, such as `base`, stands in one definition for each task.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from harness.config import IDENTIFIER_PATTERN
from harness.study.describing.level_schema import NAMED_LEVEL, level_schema, named_level
from harness.study.describing.study_schema import study_definitions
from harness.study.describing.task_schema import (
    invariants_of,
    partial_definitions,
    task_definitions,
    task_setting,
)
from harness.study.loaded import Study
from harness.study.reading.overlays import FILE_KEYS, PARTS, REMOVABLE
from harness.study.schema import NAME
from harness.tasks.base import Task
from harness.tasks.command import Command
from harness.tasks.registry import TASKS
from harness.tasks.train import Train

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ALWAYS_REQUIRED = ["question", "study"]
_METRIC_KEYS = ("metric", "formula")
"""The keys of a claim that name a metric."""


def study_schema() -> dict[str, Any]:
    """A file has all the keys that a study needs, or parts that have them together with shared keys."""
    definitions = study_definitions()
    schema = {
        "$schema": _DIALECT,
        "title": "A study of the harness",
        **definitions.pop(Study.__name__),
        "$defs": {**definitions, **partial_definitions(), NAMED_LEVEL: named_level()},
    }
    schema["$defs"] |= {_body_name(name): _body(name, task) for name, task in TASKS.items()}
    part_properties = {key: value for key, value in schema["properties"].items() if key not in FILE_KEYS}
    for section in REMOVABLE:
        entry = part_properties[section]["additionalProperties"]
        part_properties[section] = {
            **part_properties[section],
            "additionalProperties": {"anyOf": [entry, {"type": "null"}]},
        }
    without_parts = {"required": sorted(set(schema["required"]) - set(_ALWAYS_REQUIRED))}
    schema["anyOf"] = [without_parts, {"required": [PARTS]}]
    schema["required"] = _ALWAYS_REQUIRED
    schema["properties"][PARTS] |= {
        "minProperties": 1,
        "propertyNames": {"pattern": f"^{NAME}$"},
        "additionalProperties": {
            "type": "object",
            "properties": part_properties,
            "additionalProperties": False,
            "allOf": _by_task(TASKS),
        },
    }
    schema["properties"]["scales"] |= {
        "additionalProperties": {
            "type": "object",
            "propertyNames": {"enum": sorted(set(schema["properties"]) - {"study"})},
        },
        "propertyNames": {"pattern": IDENTIFIER_PATTERN},
    }
    schema["allOf"] = _by_task(TASKS, everywhere=True)
    return schema


def recipe_schema() -> dict[str, Any]:
    """A recipe: the settings of a training."""
    recipe = task_definitions()[Train.__name__]
    definitions = partial_definitions()
    return {
        "$schema": _DIALECT,
        "title": "A recipe of the harness",
        **definitions[Train.__name__],
        "required": recipe["required"],
        "$defs": definitions,
    }


def _body_name(task: str) -> str:
    return f"task {task}"


def _body(name: str, task: type[Task]) -> dict[str, Any]:
    """What the task says about the keys of a study, of a part or of a scale."""
    programs = issubclass(task, Command)
    levels = level_schema(task_setting(task, partial_definitions()), other_settings=programs)
    properties: dict[str, Any] = {
        "base": {"$ref": f"#/$defs/{task.__name__}"},
        "compare": levels,
        "across": {"$ref": f"#/$defs/{_body_name(name)}/properties/compare"},
        "invariants": {"items": {"enum": invariants_of(task)}},
    }
    if not programs:  # a study declares the metrics of its program
        metrics = {"enum": sorted(task.recorded())}
        properties |= {
            "primary": metrics,
            "claims": {"additionalProperties": {"properties": dict.fromkeys(_METRIC_KEYS, metrics)}},
        }
    return {"properties": properties}


def _by_task(tasks: Iterable[str], *, everywhere: bool = False) -> list[dict[str, Any]]:
    """For each task, its keys in a document that names it; `everywhere` also in the scales and the parts of
    the document, unless a part names another task.
    """
    chosen = []
    for name in tasks:
        body: dict[str, Any] = {"$ref": f"#/$defs/{_body_name(name)}"}
        then: dict[str, Any] = body
        if everywhere:
            part = {"if": {"required": ["task"]}, "else": body}
            scale = {"additionalProperties": body}
            then = {**body, "properties": {PARTS: {"additionalProperties": part}, "scales": scale}}
        chosen.append({"if": {"properties": {"task": {"const": name}}, "required": ["task"]}, "then": then})
    return chosen
