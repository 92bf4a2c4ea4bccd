"""JSON schemas of configs in which every property is described."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import CoreSchema, core_schema

from harness.study.describing.field_texts import class_text, field_texts

Definitions = dict[str, dict[str, Any]]


class DescribedSchema(GenerateJsonSchema):
    """The schema with the docstrings of fields as descriptions. Titles would only repeat the keys."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        described = super().model_schema(schema)
        config: type[BaseModel] = schema["cls"]
        described.pop("title", None)
        if text := class_text(config):
            described["description"] = text
        for name, text in field_texts(config).items():
            if name in described.get("properties", {}):
                described["properties"][name].setdefault("description", text)
        return described

    def field_title_should_be_set(self, schema: CoreSchema | core_schema.ModelField | Any) -> bool:  # noqa: ARG002
        return False


def definitions_of(configs: list[type[BaseModel]]) -> Definitions:
    """The schemas of configs and of all configs inside them, by the names of their classes."""
    _, together = models_json_schema(
        [(config, "validation") for config in configs], schema_generator=DescribedSchema
    )
    definitions: Definitions = together["$defs"]
    return definitions
