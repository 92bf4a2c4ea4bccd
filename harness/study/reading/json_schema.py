"""The JSON schema of a study file, for editors: the study itself, its parts, and its scales, which may hold
any part of it.
"""

from __future__ import annotations

from typing import Any

from harness.study.reading.overlays import CAN_BE_LEFT_OUT, OF_THE_FILE, PARTS
from harness.study.schema import NAME
from harness.study.study import Study
from harness.tasks.registry import TASKS

_OF_EVERY_STUDY = ["question", "study"]


def study_schema() -> dict[str, Any]:
    """A file has all that a study needs, or parts that have it together with what they share."""
    schema = Study.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "A study of the harness"
    schema["properties"]["study"]["pattern"] = f"^{NAME}$"
    schema["properties"]["task"] = {"enum": sorted(TASKS), "type": "string"}
    of_a_part = {key: value for key, value in schema["properties"].items() if key not in OF_THE_FILE}
    for section in CAN_BE_LEFT_OUT:
        held = of_a_part[section]["additionalProperties"]
        of_a_part[section] = {
            **of_a_part[section],
            "additionalProperties": {"anyOf": [held, {"type": "null"}]},
        }
    whole = {"required": sorted(set(schema["required"]) - set(_OF_EVERY_STUDY))}
    schema["anyOf"] = [whole, {"required": [PARTS]}]
    schema["required"] = _OF_EVERY_STUDY
    schema["properties"][PARTS] = {
        "type": "object",
        "description": "Comparisons of their own that answer the question together; what stands beside `parts` holds for each.",
        "minProperties": 1,
        "propertyNames": {"pattern": f"^{NAME}$"},
        "additionalProperties": {
            "type": "object",
            "properties": of_a_part,
            "additionalProperties": False,
        },
    }
    schema["properties"]["scales"] = {
        "type": "object",
        "description": "Parts of the study that are different at another scale; mappings are merged, everything else is replaced; a claim, factor or condition that is null is left out.",
        "additionalProperties": {
            "type": "object",
            "propertyNames": {"enum": sorted(set(schema["properties"]) - {"study"})},
        },
    }
    return schema
