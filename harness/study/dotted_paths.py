"""Settings by their dotted paths (`optimizer.lr`) in plain data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

MISSING = object()
"""What stands for a setting that a document does not have."""


def value_at(document: Any, path: str) -> Any:
    """The value of a setting, or `MISSING`."""
    for key in path.split("."):
        if not isinstance(document, dict) or key not in document:
            return MISSING
        document = document[key]
    return document


def with_value(document: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of the document with another value of a setting. Missing mappings on the way are made."""
    key, _, rest = path.partition(".")
    if rest:
        inner = document.get(key)
        value = with_value(inner if isinstance(inner, dict) else {}, rest, value)
    return {**document, key: value}


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The path and the value of every setting that holds no other settings."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}" if path else key)
    else:
        yield path, value
