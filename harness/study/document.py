"""YAML as a person wrote it: plain data, and the place of every key and value in the file.

YAML 1.2 by ruamel.yaml (`1e-3` is a number, `no` is a string). Aliases, duplicate keys, tags, several documents, keys that are
not strings, and files beyond the limits are errors with line and column.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import Location, StudyError

MAX_BYTES = 1_000_000
MAX_DEPTH = 20

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True)
class Located:
    """Plain data, and where in which file the key (or list item) at each path and the value that it holds were written."""

    data: dict[str, Any]
    places: dict[KeyPath, Location]
    values: dict[KeyPath, Location]

    def place(self, path: KeyPath, *, of_value: bool = False) -> Location:
        """The place of `path`, or of its nearest ancestor that a person wrote."""
        table = self.values if of_value else self.places
        while path and path not in table:
            path = path[:-1]
        return table.get(path) or self.values[()]

    def under(self, key: str | int) -> Located:
        """The part below a key, with paths counted from there."""
        inner = self.data[key]  # type: ignore[index]  # lists are asked for by index
        places, values = (
            {path[1:]: at for path, at in table.items() if path[:1] == (key,)}
            for table in (self.places, self.values)
        )
        return Located(inner, places, values)

    def at(self, *path: str | int) -> Located:
        part = self
        for key in path:
            part = part.under(key)
        return part

    def replaced(self, path: KeyPath, part: Located) -> Located:
        """`part` in the place of whatever stands at `path`; missing mappings on the way are made.

        Raises KeyError where the path leads through something that holds no keys.
        """
        data = copy.deepcopy(self.data)
        node: Any = data
        for key in path[:-1]:
            node = node.setdefault(key, {}) if isinstance(node, dict) else node[key]
            if not isinstance(node, dict | list):
                raise KeyError(key)
        node[path[-1]] = part.data
        tables = []
        for table, new in ((self.places, part.places), (self.values, part.values)):
            kept = {at: place for at, place in table.items() if at[: len(path)] != path}
            tables.append({**kept, **{(*path, *inner): place for inner, place in new.items()}})
        tables[0].setdefault(path, self.places.get(path, part.values[()]))
        return Located(data, *tables)

    def merged(self, over: Located) -> Located:
        """`over` laid on top: mappings are merged key by key, everything else is replaced."""
        result = self
        for key in over.data:
            part = over.under(key)
            if isinstance(part.data, dict) and isinstance(self.data.get(key), dict):
                part = self.under(key).merged(part)
            result = result.replaced((key,), part)
            result.places[(key,)] = over.places[(key,)]
        return result

    def without(self, key: str) -> Located:
        keep = {name: value for name, value in self.data.items() if name != key}
        places, values = (
            {path: at for path, at in table.items() if path[:1] != (key,)}
            for table in (self.places, self.values)
        )
        return Located(keep, places, values)


@dataclass(frozen=True)
class Document(Located):
    """A whole file."""

    file: str
    text: str


def read_document(path: Path) -> Document:
    """Read a YAML mapping; StudyError says what is wrong and where."""
    name = str(path)
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise StudyError(f"cannot read {name}: {error.strerror}") from error
    if len(raw) > MAX_BYTES:
        raise StudyError(f"larger than {MAX_BYTES:,} bytes", at=Location(name), hint="is this a study?")
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise StudyError(f"not UTF-8 at byte {error.start}", at=Location(name)) from error
    return _Reader(name).read(text)


class _Reader:
    def __init__(self, file: str) -> None:
        from ruamel.yaml import YAML

        self.file = file
        self._scalars = YAML(typ="safe", pure=True).constructor
        self.places: dict[KeyPath, Location] = {}
        self.values: dict[KeyPath, Location] = {}

    def read(self, text: str) -> Document:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import MarkedYAMLError, YAMLError
        from ruamel.yaml.events import AliasEvent

        try:
            for event in YAML(typ="safe", pure=True).parse(text):
                if isinstance(event, AliasEvent):
                    raise self._error(event.start_mark, f"alias *{event.anchor}: write the value out")
            roots = list(YAML(typ="safe", pure=True).compose_all(text))
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise self._error(mark, f"not YAML: {error.problem or error.context}") from error
        except (YAMLError, ValueError, RecursionError) as error:
            raise StudyError(f"not YAML: {str(error).splitlines()[0]}", at=Location(self.file)) from error
        if len(roots) != 1 or roots[0] is None or roots[0].id != "mapping":
            raise StudyError("expected one mapping of keys to values", at=Location(self.file, 1, 1))
        data = self._plain(roots[0], ())
        return Document(data, self.places, self.values, self.file, text)

    def _plain(self, node: Any, path: KeyPath) -> Any:
        self.values[path] = self._location(node.start_mark)
        if len(path) > MAX_DEPTH:
            raise self._error(node.start_mark, f"nested deeper than {MAX_DEPTH} levels")
        if node.id == "mapping":
            return dict(self._items(node, path))
        if node.id == "sequence":
            items = []
            for index, child in enumerate(node.value):
                self.places[(*path, index)] = self._location(child.start_mark)
                items.append(self._plain(child, (*path, index)))
            return items
        return self._scalar(node)

    def _items(self, node: Any, path: KeyPath) -> Iterator[tuple[str, Any]]:
        seen: dict[str, Location] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            if key_node.id != "scalar" or not key:
                raise self._error(key_node.start_mark, "a key must be a plain name")
            if key in seen:
                raise self._error(
                    key_node.start_mark, f"duplicate key {key!r}, first on line {seen[key].line}"
                )
            seen[key] = self.places[(*path, key)] = self._location(key_node.start_mark)
            yield key, self._plain(value_node, (*path, key))

    def _scalar(self, node: Any) -> Any:
        from ruamel.yaml.constructor import ConstructorError

        try:
            value = self._scalars.construct_object(node)
        except (ConstructorError, ValueError) as error:
            raise self._error(node.start_mark, f"cannot read {node.value[:40]!r} as {node.tag}") from error
        if isinstance(value, float) and not math.isfinite(value):
            raise self._error(node.start_mark, f"{node.value} is not a number that a study can use")
        if value is None or isinstance(value, bool | int | float | str):
            return value
        raise self._error(
            node.start_mark, f"{node.value!r} reads as {type(value).__name__}", hint="put it in quotes"
        )

    def _location(self, mark: Any) -> Location:
        return Location(self.file, mark.line + 1, mark.column + 1)

    def _error(self, mark: Any, message: str, hint: str | None = None) -> StudyError:
        at = self._location(mark) if mark is not None else Location(self.file)
        return StudyError(message, at=at, hint=hint)
