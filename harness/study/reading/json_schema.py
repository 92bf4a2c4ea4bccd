"""The JSON schema of a study file, for editors: the study, its parts, and its scales, which may contain any
key of the study.
"""

from __future__ import annotations

from typing import Any

from harness.config import IDENTIFIER_PATTERN
from harness.study.checks.texts import LONGEST_OF_A_CLAIM, LONGEST_SENTENCE
from harness.study.loaded import Study
from harness.study.reading.overlays import FILE_KEYS, PARTS, REMOVABLE
from harness.study.schema import NAME
from harness.tasks.registry import TASKS

_ALWAYS_REQUIRED = ["question", "study"]


def study_schema() -> dict[str, Any]:
    """A file has all the keys that a study needs, or parts that have them together with shared keys."""
    schema = Study.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "A study of the harness"
    schema["properties"]["study"]["pattern"] = f"^{NAME}$"
    schema["properties"]["question"]["maxLength"] = LONGEST_SENTENCE
    schema["properties"]["claims"]["propertyNames"] = {"pattern": IDENTIFIER_PATTERN}
    for definition in schema["$defs"].values():
        for key, longest in LONGEST_OF_A_CLAIM.items():
            _limit(definition.get("properties", {}).get(key, {}), longest)
    schema["properties"]["task"] = {"enum": sorted(TASKS), "type": "string"}
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
    schema["properties"][PARTS] = {
        "type": "object",
        "description": "Sections with factors of their own that answer the question together. "
        "Keys beside `parts` apply to every part.",
        "minProperties": 1,
        "propertyNames": {"pattern": f"^{NAME}$"},
        "additionalProperties": {
            "type": "object",
            "properties": part_properties,
            "additionalProperties": False,
        },
    }
    schema["properties"]["scales"] = {
        "type": "object",
        "description": "Keys of the study that are different at another scale. Mappings are merged, "
        "everything else is replaced, and a claim, factor or condition that is null is left out.",
        "additionalProperties": {
            "type": "object",
            "propertyNames": {"enum": sorted(set(schema["properties"]) - {"study"})},
        },
        "propertyNames": {"pattern": IDENTIFIER_PATTERN},
    }
    return schema


def _limit(schema: dict[str, Any], longest: int) -> None:
    """Give the longest length to every text that the schema of a field allows."""
    for part in (schema, *schema.get("anyOf", ())):
        if part.get("type") == "string":
            part["maxLength"] = longest
