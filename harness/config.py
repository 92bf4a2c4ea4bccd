"""The base of every config that is read from a file (frozen, strict, unknown keys refused), and the id of its
content.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Literal, Self, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Strict
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

FROM_LIST = Strict(strict=False)
"""For a field that is a tuple. YAML has only lists, and a `mode="before"` validator would refuse them."""


IDENTIFIER_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$"
"""The pattern of what becomes a file or an anchor: the names of claims, recipes and scales."""

IDENTIFIER_RULE = (
    "use at most 64 letters, digits, dots, hyphens and underscores, and begin with a letter or a digit"
)


def is_identifier(text: str) -> bool:
    return re.fullmatch(IDENTIFIER_PATTERN, text) is not None


class Measurement:
    """`Annotated[int, MEASUREMENT]` marks a setting that says how something is measured, and not what. It
    must be equal in all arms that are compared.
    """


MEASUREMENT = Measurement()

_PLAIN = (str, int, type(None))
"""Types of values that are equal if their JSON is; zeros and NaN of floats are not."""


class Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @classmethod
    def read(cls, document: Any) -> Self:
        """Validate plain data (mappings, lists, scalars) by the rules of JSON: `3` is not text, `"3"` is not
        a number, and a list can become a tuple.

        Raises pydantic.ValidationError, whose locations are paths into the document.
        """
        return cls.model_validate_json(json.dumps(document))

    def plain(self) -> dict[str, Any]:
        """Plain data with every default filled in: what is stored and sent to workers."""
        return self.model_dump(mode="json")


def content(config: BaseModel) -> dict[str, Any]:
    """The plain data of a config without every field that is at its default, at every depth. Ids are made of
    this, so that a new field with a default changes no id.

    The tag of a union's member (`kind: rotary`) enters too, unless the member is of the class of the field's
    default, or of the first class of the union where the field has no default. So a class that becomes the
    first member of a union keeps its ids. Settings that a config takes beyond its fields have no defaults.
    """
    values = {}
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        factory = field.default_factory is not None
        default = field.get_default(call_default_factory=True) if factory else field.default
        if field.is_required() or not _equal(value, default):
            classes = _classes(type(config), name)
            implied = type(default) if isinstance(default, BaseModel) else next(iter(classes), None)
            values[name] = _content(value, implied)
    return {**values, **(config.__pydantic_extra__ or {})}


def _content(value: Any, implied: type | None) -> Any:
    if isinstance(value, BaseModel):
        return {**({} if type(value) is implied else _tags(value)), **content(value)}
    if isinstance(value, list | tuple):
        return [_content(item, implied) for item in value]
    if isinstance(value, dict):
        return {key: _content(item, implied) for key, item in value.items()}
    return to_jsonable_python(value)


def _equal(value: Any, default: Any) -> bool:
    """Whether they are the same plain data; 1, 1.0 and true are different."""
    if type(value) is not type(default):
        return False
    return bool(value == default) if isinstance(value, _PLAIN) else _text(value) == _text(default)


def _text(value: Any) -> str:
    return json.dumps(to_jsonable_python(value), sort_keys=True)


def _tags(config: BaseModel) -> dict[str, Any]:
    """The fields that can have only one value, by which the members of a union are told apart."""
    fields = type(config).model_fields.items()
    return {name: getattr(config, name) for name, field in fields if tag_of(field) is not None}


def tag_of(field: FieldInfo) -> Any:
    """The only value that a field can have, which tells a member of a union from the others. None if it can
    have others.
    """
    if get_origin(field.annotation) is not Literal:
        return None
    values = get_args(field.annotation)
    return values[0] if len(values) == 1 else None


@cache
def _classes(config: type[BaseModel], name: str) -> tuple[type[BaseModel], ...]:
    """The config classes that a field can hold, in the order of its annotation."""
    return tuple(_members(config.model_fields[name].annotation))


def _members(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _members(inner)


_encoded = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def canonical_json(value: Any) -> str:
    """One text for equal values: sorted keys, no white space, no NaN."""
    return _encoded(value)


def digest(value: Any) -> str:
    """The first 16 hex digits of the SHA-256 of the canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]
