"""From a pydantic validation error to one line that names file, line, column and the likely remedy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from harness.errors import StudyError, did_you_mean
from harness.study.claim import FORMS
from harness.study.document import KeyPath, Located

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    from harness.config import Config


def study_error(error: ValidationError, document: Located, model: type[Config]) -> StudyError:
    """The first problem in the order of the file, and how many more there are."""
    found = [_problem(detail, document, model) for detail in error.errors(include_url=False)]
    found.sort(key=lambda problem: (problem.at.line or 0, problem.at.column or 0) if problem.at else (0, 0))
    first = found[0]
    if len(found) > 1:
        first.hint = f"{first.hint}; " if first.hint else ""
        first.hint += f"{len(found) - 1} more after this one"
    return first


def _problem(detail: ErrorDetails, document: Located, model: type[Config]) -> StudyError:
    kind, loc = detail["type"], detail["loc"]
    if kind == "missing":
        path = _path(loc[:-1], document.data)
        return StudyError(f"missing key {str(loc[-1])!r}{_inside(path)}", at=document.place(path))
    if kind == "extra_forbidden":
        path = (*_path(loc[:-1], document.data), loc[-1])
        hint = did_you_mean(str(loc[-1]), known_keys(model, path[:-1]))
        return StudyError(
            f"unknown key {str(loc[-1])!r}{_inside(path[:-1])}", at=document.place(path), hint=hint
        )
    path = _path(loc, document.data)
    name = ".".join(str(part) for part in path) or "the file"
    at = document.place(path, of_value=True)
    expected = _choices(detail)
    if expected:
        word = detail["ctx"].get("tag", detail["input"]) if "ctx" in detail else detail["input"]
        return StudyError(
            f"{name}: {_shown(word)} is none of its values", at=at, hint=did_you_mean(str(word), expected)
        )
    message = detail["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    if kind in ("value_error", "claim_form"):
        return StudyError(f"{name}: {message}", at=at)
    return StudyError(f"{name}: {message}, found {_shown(detail['input'])}", at=at)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _inside(path: KeyPath) -> str:
    return f" in {'.'.join(str(part) for part in path)}" if path else ""


def _choices(detail: ErrorDetails) -> list[str]:
    if detail["type"] not in ("literal_error", "enum", "union_tag_invalid"):
        return []
    context = detail.get("ctx", {})
    text = context.get("expected_tags") or context.get("expected") or ""
    return [word.strip(" '\"") for word in str(text).replace(" or ", ",").split(",")]


def _path(loc: tuple[int | str, ...], data: Any) -> KeyPath:
    """The part of a pydantic location that leads through the data: tags of unions are left out."""
    path: list[str | int] = []
    for index, part in enumerate(loc):
        if len(path) == 2 and index == 2 and path[0] == "claims" and part in FORMS:
            continue
        if isinstance(data, dict) and part in data:
            data = data[str(part)]
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            continue
        path.append(part)
    return tuple(path)


def known_keys(model: type[Config], path: KeyPath) -> set[str]:
    """The keys that `model` takes at `path`, over all members of unions on the way."""
    schema = model.model_json_schema()
    nodes = list(_variants(schema, schema))
    for part in path:
        nodes = [
            found for node in nodes for child in _children(node, part) for found in _variants(child, schema)
        ]
    return {name for node in nodes for name in node.get("properties", {})}


def _variants(node: dict[str, Any], schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "$ref" in node:
        node = schema["$defs"][node["$ref"].rsplit("/", 1)[1]]
    yield node
    for alternative in (*node.get("anyOf", ()), *node.get("oneOf", ()), *node.get("allOf", ())):
        yield from _variants(alternative, schema)


def _children(node: dict[str, Any], part: str | int) -> Iterator[dict[str, Any]]:
    if isinstance(part, int):
        if isinstance(node.get("items"), dict):
            yield node["items"]
    elif part in node.get("properties", {}):
        yield node["properties"][part]
    elif isinstance(node.get("additionalProperties"), dict):
        yield node["additionalProperties"]
