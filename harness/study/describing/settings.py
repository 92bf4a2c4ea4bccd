"""Every setting of a study with its path, type, default, bounds and description, by the JSON schema."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from harness.study.describing.described_schema import Definitions

_TYPES = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "true or false",
    "null": "null",
    "object": "mapping",
    "array": "list",
}
_SCALARS = {_TYPES[name] for name in ("boolean", "integer", "number", "string")}
_BOUNDS = {
    "exclusiveMinimum": "above {:g}",
    "minimum": "at least {:g}",
    "exclusiveMaximum": "below {:g}",
    "maximum": "at most {:g}",
    "multipleOf": "a multiple of {:g}",
    "minLength": "length at least {}",
    "maxLength": "length at most {}",
    "minItems": "entries at least {}",
    "maxItems": "entries at most {}",
    "minProperties": "entries at least {}",
}
_WIDEST_BOUND = 2**53
_KIND = "settings of kind "

GroupType = Callable[[Mapping[str, Any]], str]


@dataclass(frozen=True, kw_only=True)
class DescribedSetting:
    """A setting. `keys` lead to it in a document. `path` has the kind of a group as well, between the key of
    the group and the key inside it: `optimizer.adamw.lr`.
    """

    keys: tuple[str, ...]
    path: tuple[str, ...]
    schema: Mapping[str, Any]
    required: bool
    definitions: Definitions

    @property
    def name(self) -> str:
        return ".".join(self.path)

    @property
    def description(self) -> str:
        return str(self.schema.get("description", ""))

    @cached_property
    def options(self) -> list[Mapping[str, Any]]:
        """What the setting can be: its schema without unions, and with the definitions that it refers to."""
        return list(_options(self.schema, self.definitions))

    @property
    def type(self) -> str:
        return self.type_with(_group_type)

    def type_with(self, group_type: GroupType) -> str:
        """The type, in which `group_type` names the groups of settings."""
        return _joined(_type(option, self.definitions, group_type) for option in self.options)

    @property
    def default(self) -> str:
        """The default as YAML writes it. Of settings in a group, only those that tell groups apart."""
        if "default" not in self.schema:
            return "required" if self.required else "–"
        value = self.schema["default"]
        if isinstance(value, dict):
            return f"kind: {value['kind']}" if "kind" in value else "see below" if value else "{}"
        return _yaml(value) if value != "" else '""'

    @property
    def bounds(self) -> str:
        texts = [
            text.format(option[key])
            for option in self.options
            for key, text in _BOUNDS.items()
            if key in option and abs(option[key]) < _WIDEST_BOUND
        ]
        return ", ".join(dict.fromkeys(texts))

    @cached_property
    def groups(self) -> list[Mapping[str, Any]]:
        """The groups of settings that the setting itself can be, or that its entries can be."""
        inside = [entry for option in self.options for entry in _entries(option, self.definitions)]
        return [option for option in (*self.options, *inside) if "properties" in option]

    def inner(self) -> Iterator[DescribedSetting]:
        """The settings inside this one, without the kinds."""
        for group in self.groups:
            tag = tag_of_group(group)
            named = (tag,) if tag is not None and len(self.groups) > 1 else ()
            for key, schema in group["properties"].items():
                if key != "kind" or tag is None:
                    yield DescribedSetting(
                        keys=(*self.keys, key),
                        path=(*self.path, *named, key),
                        schema=schema,
                        required=key in group.get("required", ()),
                        definitions=self.definitions,
                    )

    def all_inside(self) -> Iterator[DescribedSetting]:
        """The settings inside this one, at every depth. A setting comes before those inside it."""
        for setting in self.inner():
            yield setting
            yield from setting.all_inside()


def tag_of_group(group: Mapping[str, Any]) -> str | None:
    """What tells a group of settings from others: its kind, or the form of a claim."""
    tag: str | None = group["properties"].get("kind", {}).get("const", group.get("title"))
    return tag


def _joined(types: Iterable[str]) -> str:
    """Alternative types in one text, in which kinds of settings stand together."""
    distinct = list(dict.fromkeys(types))
    kinds = [one.removeprefix(_KIND) for one in distinct if one.startswith(_KIND)]
    others = [one for one in distinct if not one.startswith(_KIND)]
    if set(others) >= _SCALARS:
        others = ["value", *(one for one in others if one not in _SCALARS and one != _TYPES["null"])]
    return " or ".join([*([_KIND + ", ".join(kinds)] if kinds else []), *others])


def _options(schema: Any, definitions: Definitions) -> Iterator[Mapping[str, Any]]:
    if not isinstance(schema, dict):
        return
    if "$ref" in schema:
        yield from _options(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    elif any(key in schema for key in ("anyOf", "oneOf")):
        for option in [*schema.get("anyOf", ()), *schema.get("oneOf", ())]:
            yield from _options(option, definitions)
    else:
        yield schema


def _group_type(group: Mapping[str, Any]) -> str:
    tag = tag_of_group(group)
    return "settings" if tag is None else f"{_KIND}`{tag}`"


def _entries(option: Mapping[str, Any], definitions: Definitions) -> Iterator[Mapping[str, Any]]:
    """What the entries of a list or of a mapping can be."""
    schemas = [option.get("items"), option.get("additionalProperties")]
    for schema in (*option.get("prefixItems", ()), *option.get("patternProperties", {}).values(), *schemas):
        yield from _options(schema, definitions)


def _type(option: Mapping[str, Any], definitions: Definitions, group_type: GroupType) -> str:
    if "const" in option:
        return f"`{_yaml(option['const'])}`"
    if "enum" in option:
        return ", ".join(f"`{_yaml(value)}`" for value in option["enum"])
    if "properties" in option:
        return group_type(option)
    kind = option.get("type")
    if isinstance(kind, list):
        return " or ".join(_TYPES[name] for name in kind)
    named = _TYPES.get(str(kind), "anything")
    types = _joined(_type(entry, definitions, group_type) for entry in _entries(option, definitions))
    return f"{named} of {types}" if types else named


def _yaml(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
