"""From a pydantic validation error to one line with the file, the line, the column and a hint."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from harness.config import Config
from harness.errors import Location, StudyError, did_you_mean
from harness.open_union import FROM_PLUGIN
from harness.study.claims import FORMS
from harness.study.reading.yaml_document import KeyPath, Located

_NOUNS = {
    "bool": "true or false",
    "int": "an integer",
    "float": "a number",
    "string": "text",
    "none": "null",
    "list": "a list",
    "tuple": "a list",
    "dict": "a mapping",
    "model": "a mapping",
}
_BOUNDS = {
    "greater_than": ("greater than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}


@dataclass(frozen=True, kw_only=True)
class _Problem:
    """One thing that is wrong. `expected` is the kind of value that was expected at `path`, and `missing` the
    name of a missing key. They are empty for other problems.
    """

    path: KeyPath
    at: Location
    message: str
    hint: str | None = None
    expected: str = ""
    missing: str = ""


def study_error(error: ValidationError, document: Located, model: type[Config]) -> StudyError:
    """The first problem in the order of the file, with the others."""
    problems = _distinct([_problem(detail, document, model) for detail in error.errors(include_url=False)])
    file = document.location(()).file
    # Missing keys come last, because something else often explains them.
    problems.sort(key=lambda p: (bool(p.missing), p.at.file != file, p.at.line or 0, p.at.column or 0))
    first, more = problems[0], len(problems) - 1
    notes = [first.hint] if first.hint else []
    notes += [f"and {more} more problem{'s' if more > 1 else ''}"] if more else []
    others = [str(StudyError(other.message, at=other.at, hint=other.hint)) for other in problems[1:]]
    return StudyError(first.message, at=first.at, hint=", ".join(notes) or None, others=others)


def _distinct(problems: list[_Problem]) -> list[_Problem]:
    """One problem per path. A misspelt key is not reported as missing too. A value that fits no member of a
    union is one problem, and none if something deeper in it is wrong.
    """
    hints = [problem.hint for problem in problems if problem.hint]
    distinct: dict[tuple[KeyPath, str], _Problem] = {}
    for problem in problems:
        if problem.missing and any(repr(problem.missing) in hint for hint in hints):
            continue
        if problem.expected:
            if any(_is_inside(other.path, problem.path) for other in problems):
                continue
            problem = _expecting_any(problem, problems)
        distinct.setdefault((problem.path, problem.missing), problem)
    return list(distinct.values())


def _is_inside(path: KeyPath, outer: KeyPath) -> bool:
    return len(path) > len(outer) and path[: len(outer)] == outer


def _expecting_any(problem: _Problem, problems: list[_Problem]) -> _Problem:
    """The problem with all the kinds of value that were expected at its path."""
    kinds = list(dict.fromkeys(p.expected for p in problems if p.expected and p.path == problem.path))
    expected = f"{', '.join(kinds[:-1])} or {kinds[-1]}" if len(kinds) > 1 else kinds[0]
    message = problem.message.replace(f"expected {problem.expected}", f"expected {expected}")
    return replace(problem, message=message)


def _problem(detail: ErrorDetails, document: Located, model: type[Config]) -> _Problem:
    kind, loc, context = detail["type"], detail["loc"], detail.get("ctx", {})
    if (unnamed := _unnamed_level(loc, document)) is not None:
        return unnamed
    if kind in ("missing", "union_tag_not_found"):
        path = _path(loc if kind == "union_tag_not_found" else loc[:-1], document.data)
        key = str(loc[-1]) if kind == "missing" else _discriminator(context)
        at, content = document.location(path), document.location(path, value=True)
        if at.file != content.file:  # the key is missing in a recipe, not in the study that names the recipe
            at = content
        return _Problem(path=path, at=at, message=f"missing key {key!r}{_inside(path)}", missing=key)
    if kind == "extra_forbidden":
        return _unknown_key((*_path(loc[:-1], document.data), loc[-1]), document, model)
    path = _path(loc, document.data)
    if kind == "claim_form" and isinstance(detail["input"], dict):
        unknown = [key for key in detail["input"] if key not in known_keys(model, path)]
        if unknown:
            return _unknown_key((*path, unknown[0]), document, model)
    if kind == "union_tag_invalid":
        path = (*path, *_path((_discriminator(context),), document.at(*path).data))
    message, hint, expected = _description(detail)
    name = ".".join(str(part) for part in path)
    return _Problem(
        path=path,
        at=document.location(_named_path(path, message, document), value=True),
        message=f"{name}: {message}" if name else message,
        hint=hint,
        expected=expected,
    )


def _unnamed_level(loc: tuple[int | str, ...], document: Located) -> _Problem | None:
    """The problem of a level that is a group of settings without a name, wherever in it the error is."""
    path = tuple(loc[:3])
    if len(path) < 3 or path[0] not in ("compare", "across") or not isinstance(path[2], int):
        return None
    factor, level = str(path[1]), document.at(*path).data
    if not isinstance(level, dict) or all(isinstance(settings, dict) for settings in level.values()):
        return None
    settings = ", ".join(
        f"{key}: {value if isinstance(value, str) else shown(value)}" for key, value in level.items()
    )
    name = level["kind"] if isinstance(level.get("kind"), str) else "NAME"
    return _Problem(
        path=path,
        at=document.location(path, value=True),
        message=f"{'.'.join(map(str, path))}: a level that is a mapping needs a name",
        hint=f"write `{name}: {{{factor}: {{{settings}}}}}`",
    )


def _named_path(path: KeyPath, message: str, document: Located) -> KeyPath:
    """The path of the key with which a message about several keys begins, or the path itself."""
    named = re.match(r"[a-z_]+(?:\.[a-z_]+)+", message)
    data = document.at(*path).data
    inner = tuple(named[0].split(".")) if named else ()
    return (*path, *inner) if inner and _path(inner, data) == inner else path


def _discriminator(context: dict[str, Any]) -> str:
    return str(context["discriminator"]).strip("'()")


def _unknown_key(path: KeyPath, document: Located, model: type[Config]) -> _Problem:
    key, at = str(path[-1]), document.location(path)
    return _Problem(
        path=path,
        at=at,
        message=f"unknown key {key!r}{_inside(path[:-1])}",
        hint=did_you_mean(key, known_keys(model, path[:-1])),
    )


def _description(detail: ErrorDetails) -> tuple[str, str | None, str]:
    """The message, the hint, and the kind of value that was expected, for a person who writes YAML."""
    kind, context, value = detail["type"], detail.get("ctx", {}), shown(detail["input"])
    if kind in ("literal_error", "enum", "union_tag_invalid"):
        word = context.get("tag", detail["input"])
        return f"{shown(word)} is not an allowed value", did_you_mean(str(word), _choices(context)), ""
    noun = _NOUNS.get(kind.split("_", 1)[0])
    if noun and kind.endswith(("_type", "_parsing", "_from_float", "_required")):
        return f"expected {noun}, found {value}", None, noun
    if kind in _BOUNDS:
        words, key = _BOUNDS[kind]
        return f"must be {words} {context[key]:g}, found {value}", None, ""
    if kind == "too_short":
        least, actual = context["min_length"], context["actual_length"]
        return f"needs at least {least} item{'s' if least > 1 else ''}, but has {actual}", None, ""
    if kind == "string_too_short":
        return "must not be empty", None, ""
    if kind == "string_pattern_mismatch":
        return f"{value} does not match the pattern {context['pattern']}", None, ""
    message = detail["msg"].removeprefix("Value error, ")
    if kind == "claim_form" and isinstance(detail["input"], dict):
        present = " and ".join(form for form in FORMS if form in detail["input"])
        return message, f"found {present or 'none of them'}", ""
    return message[0].lower() + message[1:], None, ""


def shown(value: Any) -> str:
    """A value as YAML writes it, cut short. A collection is only named as one."""
    if isinstance(value, dict | list | tuple):
        return "a mapping" if isinstance(value, dict) else "a list"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _inside(path: KeyPath) -> str:
    return f" in {'.'.join(str(part) for part in path)}" if path else ""


def _choices(context: dict[str, Any]) -> list[str]:
    text = context.get("expected_tags") or context.get("expected") or ""
    words = [word.strip(" '\"") for word in str(text).replace(" or ", ",").split(",")]
    return [word for word in words if word != FROM_PLUGIN]


def _path(loc: tuple[int | str, ...], data: Any) -> KeyPath:
    """The path of a pydantic location in the data. Tags of unions are not part of it. A tag may be a key as
    well (`files`): then the path that leads to the last part counts.
    """
    return max(_paths(loc, 0, (), data), key=lambda candidate: (candidate[0], len(candidate[1])))[1]


def _paths(
    loc: tuple[int | str, ...], index: int, path: KeyPath, data: Any, last: int = -1
) -> Iterator[tuple[int, KeyPath]]:
    """The paths that a location can mean, each with the index of the last part that is a key."""
    if index == len(loc):
        yield last, path
        return
    part = loc[index]
    is_form = len(path) == 2 and index == 2 and path[0] == "claims" and part in FORMS
    if not is_form and isinstance(data, dict) and part in data:
        yield from _paths(loc, index + 1, (*path, part), data[str(part)], index)
    elif isinstance(data, list) and isinstance(part, int) and part < len(data):
        yield from _paths(loc, index + 1, (*path, part), data[part], index)
        return
    yield from _paths(loc, index + 1, path, data, last)


@cache
def _schema(model: type[Config]) -> dict[str, Any]:
    return model.model_json_schema()


@cache
def known_keys(model: type[Config], path: KeyPath) -> frozenset[str]:
    """The keys that `model` accepts at `path`, in all members of unions on the way."""
    schema = _schema(model)
    nodes = list(_variants(schema, schema))
    for part in path:
        nodes = [
            variant
            for node in nodes
            for child in _children(node, part)
            for variant in _variants(child, schema)
        ]
    return frozenset(name for node in nodes for name in node.get("properties", {}))


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
