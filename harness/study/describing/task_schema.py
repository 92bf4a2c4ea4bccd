"""The JSON schema of the settings of each task, as a study or a recipe writes them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from harness.invariants.registry import INVARIANTS
from harness.models.config import PRESETS, TRANSLATION_PRESETS, EncoderDecoderConfig, ModelConfig
from harness.study.describing.described_schema import Definitions, definitions_of
from harness.study.describing.settings import DescribedSetting
from harness.study.program_settings import ProgramFiles
from harness.tasks.base import Task
from harness.tasks.command import Command
from harness.tasks.registry import TASKS
from harness.tasks.trained_model import TrainedDecoder, TrainedModel

_DEFINED = "#/$defs/"
_PRESETS = {ModelConfig: PRESETS, EncoderDecoderConfig: TRANSLATION_PRESETS}
_FILLED_IN = ["source", "values"]
"""Settings of a program that follow from its files and from the metrics of the study."""

_SCALARS: dict[str, Any] = {"type": ["boolean", "number", "string", "null"]}


@cache
def task_definitions() -> Definitions:
    """The settings of every task, by the names of their classes, with what the harness itself fills in left
    out, and what a study writes in place of it.
    """
    definitions = definitions_of([*TASKS.values(), ProgramFiles])
    for model, presets in _PRESETS.items():
        sizes = definitions[model.__name__]
        preset = {
            "type": "string",
            "enum": sorted(presets),
            "description": "The name of sizes and choices that ship. The settings beside it replace its own.",
        }
        sizes["properties"] = {"preset": preset, **sizes["properties"]}
        del sizes["required"]  # a preset has them all, and the tokenizer says the vocabulary
    for trained in (TrainedModel, TrainedDecoder):
        definitions[trained.__name__]["required"].remove("train")
    program, files = definitions[Command.__name__], definitions.pop(ProgramFiles.__name__)
    for name in _FILLED_IN:
        del program["properties"][name]
    program["required"].remove("source")
    program["properties"] |= files["properties"]
    program |= {"additionalProperties": _SCALARS, "propertyNames": {"not": {"enum": _FILLED_IN}}}
    return _used(definitions, [task.__name__ for task in TASKS.values()])


def partial_definitions() -> Definitions:
    """The same for a document that other settings complete, so that every key may be missing."""
    return {name: _without_required(schema) for name, schema in task_definitions().items()}


def task_setting(task: type[Task], definitions: Definitions) -> DescribedSetting:
    """The settings of a task as one setting, `base`."""
    return DescribedSetting(
        keys=("base",),
        path=("base",),
        schema={"$ref": f"#/$defs/{task.__name__}"},
        required=True,
        definitions=definitions,
    )


def invariants_of(task: type[Task]) -> list[str]:
    """The invariants that can be checked on arms of a task."""
    offers = task.offers
    return [name for name in sorted(INVARIANTS) if offers and issubclass(offers, INVARIANTS[name].needs)]


def _without_required(schema: Any) -> Any:
    """Without required keys, a value may fit several members of a union."""
    if isinstance(schema, list):
        return [_without_required(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    renamed = {"anyOf" if key == "oneOf" else key: value for key, value in schema.items()}
    return {
        key: value if key in ("default", "enum") else _without_required(value)
        for key, value in renamed.items()
        if key != "discriminator" and not (key == "required" and isinstance(value, list))
    }


def _used(definitions: Definitions, names: list[str]) -> Definitions:
    """The definitions of these names, and all that they refer to."""
    waiting, used = list(names), dict.fromkeys(names)
    while waiting:
        for name in referred(definitions[waiting.pop()]):
            if name not in used:
                used[name] = None
                waiting.append(name)
    return {name: definitions[name] for name in sorted(used)}


def referred(schema: Any) -> Iterator[str]:
    """The names of the definitions that a schema refers to."""
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"].removeprefix(_DEFINED)
        for value in schema.values():
            yield from referred(value)
    elif isinstance(schema, list):
        for item in schema:
            yield from referred(item)
