"""Unions of configs that plug-ins can add members to."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from harness.plugins import RefusedError, Registry

FROM_PLUGIN = "from a plug-in"
"""The tag of the member that stands for all that plug-ins add."""


def kind_of(config: type[BaseModel]) -> str:
    """The `kind` of a member of a union. Raises RefusedError if its `kind` has no default."""
    field = config.model_fields.get("kind")
    if field is None or not isinstance(field.default, str):
        raise RefusedError(f'{config.__name__} has no `kind: Literal["…"] = "…"`')
    return field.default


class OpenTo:
    """Opens a tagged union of configs to the classes that plug-ins add to a registry.

    It stands after the union: `Annotated[First | Second, Field(discriminator="kind"), OpenTo(REGISTRY)]`.
    Plug-ins are looked for only when a document has a tag that no member of the union has. The JSON schema
    describes the members of the union alone.
    """

    def __init__(self, registry: Registry[Any]) -> None:
        self._registry = registry

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        closed = handler(source)
        assert closed["type"] == "tagged-union"
        tags, choices = closed["discriminator"], closed["choices"]

        def kind(document: Any) -> Any:
            return self._tag(_read_tag(document, tags, next(iter(choices))), choices)

        added = core_schema.no_info_plain_validator_function(
            partial(self._read, tags),
            serialization=core_schema.plain_serializer_function_ser_schema(_plain, info_arg=True),
        )
        return {**closed, "discriminator": kind, "choices": {**choices, FROM_PLUGIN: added}}

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        assert schema["type"] == "tagged-union"
        choices = {tag: choice for tag, choice in schema["choices"].items() if tag != FROM_PLUGIN}
        return handler({**schema, "choices": choices})

    def _tag(self, tag: Any, choices: dict[Any, Any]) -> Any:
        if tag in choices or not isinstance(tag, str):
            return tag
        registry = self._registry
        return FROM_PLUGIN if tag in registry.added() or registry.refusal(tag) else tag

    def _read(self, tags: Any, document: Any) -> BaseModel:
        tag = _read_tag(document, tags, "")
        if tag not in self._registry.added():
            raise ValueError(f"{tag!r} is not an allowed value; {self._registry.refusal(tag)}")
        config: type[BaseModel] = self._registry[tag]
        if isinstance(document, config):
            return document
        return config.model_validate_json(json.dumps(document))  # by the rules of JSON, as every document


def _read_tag(document: Any, tags: str | Callable[[Any], Any], otherwise: Any) -> Any:
    """The tag of a document or of a config. What is neither has the tag `otherwise`."""
    if callable(tags):
        return tags(document)
    if isinstance(document, dict):
        return document.get(tags)
    return getattr(document, tags, otherwise)


def _plain(config: BaseModel, info: Any) -> dict[str, Any]:
    return config.model_dump(mode=info.mode)
