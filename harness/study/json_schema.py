"""The JSON schema of a study file, for editors: the study itself, and its scales, which may hold any part of it."""

from __future__ import annotations

from typing import Any

from harness.study.schema import Study
from harness.tasks.registry import TASKS


def study_schema() -> dict[str, Any]:
    schema = Study.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "A study of the harness"
    schema["properties"]["task"] = {"enum": sorted(TASKS), "type": "string"}
    schema["properties"]["scales"] = {
        "type": "object",
        "description": "Parts of the study that are different at another scale; mappings are merged, everything else is replaced.",
        "additionalProperties": {
            "type": "object",
            "propertyNames": {"enum": sorted(set(schema["properties"]) - {"study"})},
        },
    }
    return schema
