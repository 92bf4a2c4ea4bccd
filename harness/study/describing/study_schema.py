"""The JSON schema of the keys of a study, without the settings of tasks."""

from __future__ import annotations

from typing import Any

from harness.config import IDENTIFIER_PATTERN
from harness.study.checks.texts import LONGEST_OF_A_CLAIM, LONGEST_SENTENCE
from harness.study.claims import FORMS
from harness.study.describing.described_schema import Definitions, definitions_of
from harness.study.loaded import Study
from harness.study.schema import NAME
from harness.tasks.registry import TASKS

_FILE_KEYS = {
    "parts": "Sections with factors of their own that answer the question together. "
    "Keys beside `parts` apply to every part.",
    "scales": "Keys of the study that are different at another scale. Mappings are merged, everything else "
    "is replaced, and a claim, factor or condition that is null is left out.",
}
"""Keys that are resolved before the rest of a study is read."""


def study_definitions() -> Definitions:
    """The keys of a study and of all that stands in it except the settings of tasks, by class."""
    definitions = definitions_of([Study])
    for form, claim in FORMS.shipped.items():
        definitions[claim.__name__]["title"] = form
    for definition in definitions.values():
        for key, longest in LONGEST_OF_A_CLAIM.items():
            _limit(definition.get("properties", {}).get(key, {}), longest)
    properties = definitions[Study.__name__]["properties"]
    properties["study"]["pattern"] = f"^{NAME}$"
    properties["question"]["maxLength"] = LONGEST_SENTENCE
    properties["claims"]["propertyNames"] = {"pattern": IDENTIFIER_PATTERN}
    properties |= {key: {"type": "object", "description": text} for key, text in _FILE_KEYS.items()}
    properties["task"] |= {"enum": sorted(TASKS), "type": "string"}
    return definitions


def _limit(schema: dict[str, Any], longest: int) -> None:
    """Give the longest length to every text that the schema of a field allows."""
    for part in (schema, *schema.get("anyOf", ())):
        if part.get("type") == "string":
            part["maxLength"] = longest
