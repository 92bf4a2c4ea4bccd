"""YAML as a person wrote it: plain data, and the location of every key and value in the file.

It is YAML 1.2, read with ruamel.yaml (`1e-3` is a number, `no` is text). Aliases, duplicate keys, tags,
several documents, keys that are not text, and files beyond the limits are errors with line and column.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from harness.errors import Location, StudyError

MAX_BYTES = 200_000
MAX_DEPTH = 20

KeyPath = tuple[str | int, ...]

_KINDS = {
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "null": "null",
    "timestamp": "a date",
}


@dataclass(frozen=True)
class Located:
    """Plain data, and where the key (or the list item) at each path and its value were written."""

    data: dict[str, Any]
    keys: dict[KeyPath, Location]
    values: dict[KeyPath, Location]

    def location(self, path: KeyPath, *, value: bool = False) -> Location:
        """Where the key (or the list item) at `path` was written, or its value. For a path that nobody wrote,
        it is the location of the nearest ancestor.
        """
        table = self.values if value else self.keys
        while path and path not in table:
            path = path[:-1]
        return table.get(path) or self.values[()]

    def error(
        self, path: KeyPath, message: str, *, hint: str | None = None, value: bool = False
    ) -> StudyError:
        """An error at the key (or the list item) at `path`, or at its value."""
        return StudyError(message, at=self.location(path, value=value), hint=hint)

    def under(self, key: str | int) -> Located:
        """The part below a key. Its paths begin there."""
        inner = self.data[key]  # type: ignore[index]  # lists are asked for by index
        keys, values = (
            {path[1:]: at for path, at in table.items() if path[:1] == (key,)}
            for table in (self.keys, self.values)
        )
        return Located(inner, keys, values)

    def at(self, *path: str | int) -> Located:
        part = self
        for key in path:
            part = part.under(key)
        return part

    def replaced(self, path: KeyPath, part: Located, *, key: Location) -> Located:
        """A copy with `part` at `path`. Missing mappings on the way are made. `key` is the location of the
        request.

        Raises KeyError if something on the path has no keys.
        """
        data = copy.deepcopy(self.data)
        node: Any = data
        for step in path[:-1]:
            node = node.setdefault(step, {}) if isinstance(node, dict) else node[step]
            if not isinstance(node, dict | list):
                raise KeyError(step)
        node[path[-1]] = part.data
        tables = []
        for table, new in ((self.keys, part.keys), (self.values, part.values)):
            others = {at: location for at, location in table.items() if at[: len(path)] != path}
            made = {path[:end]: key for end in range(1, len(path)) if path[:end] not in others}
            tables.append(
                {**others, **made, **{(*path, *inner): location for inner, location in new.items()}}
            )
        tables[0][path] = key
        return Located(data, *tables)

    def merged(self, over: Located) -> Located:
        """A copy with the keys of `over`: mappings are merged key by key, everything else is replaced."""
        result = self
        for key in over.data:
            part = over.under(key)
            if isinstance(part.data, dict) and isinstance(self.data.get(key), dict):
                part = self.under(key).merged(part)
            result = result.replaced((key,), part, key=over.keys[(key,)])
        return result

    def without(self, *path: str) -> Located:
        """A copy without the key at `path`, if there is one. Raises KeyError if a mapping
        on the way does not exist.
        """
        data = copy.deepcopy(self.data)
        node = data
        for key in path[:-1]:
            node = node[key]
        node.pop(path[-1], None)
        keys, values = (
            {at: location for at, location in table.items() if at[: len(path)] != path}
            for table in (self.keys, self.values)
        )
        return Located(data, keys, values)


@dataclass(frozen=True)
class Override:
    """A value that replaces what a document has at `path`. `at` is where a person wrote it."""

    path: KeyPath
    value: Any
    at: Location

    def applied(self, document: Located) -> Located:
        """A copy of the document with the value. Raises StudyError if part of the path has no keys."""
        part = Located(self.value, {}, {(): self.at})
        try:
            return document.replaced(self.path, part, key=self.at)
        except (KeyError, TypeError):
            name = ".".join(map(str, self.path))
            raise StudyError(
                f"{name} cannot be set: part of this path is not a mapping", at=self.at
            ) from None


@dataclass(frozen=True)
class Document(Located):
    """A file with its text."""

    file: str
    text: str


def read_document(path: Path) -> Document:
    """Read a YAML mapping. Raises StudyError if the file cannot be read or is not valid."""
    name = str(path)
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise StudyError(f"the file cannot be read: {error.strerror}", at=Location(name)) from error
    if len(raw) > MAX_BYTES:
        raise StudyError(
            f"the file is larger than {MAX_BYTES:,} bytes", at=Location(name), hint="is it a study?"
        )
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise StudyError(
            "the file is not UTF-8",
            at=_location_after(raw[: error.start].decode(), name),
            hint="save it in this encoding",
        ) from error
    return read_text(text, file=name)


def read_text(text: str, *, file: str) -> Document:
    """Read a YAML mapping from text. Errors call it `file`. Raises StudyError if it is not valid."""
    return _Reader(file).read(text)


def _location_after(text: str, file: str) -> Location:
    return Location(file, text.count("\n") + 1, len(text) - text.rfind("\n"))


class _Reader:
    def __init__(self, file: str) -> None:
        from ruamel.yaml import YAML

        self.file = file
        self._scalars = YAML(typ="safe", pure=True).constructor
        self.keys: dict[KeyPath, Location] = {}
        self.values: dict[KeyPath, Location] = {}
        self._depth = self._documents = 0

    def read(self, text: str) -> Document:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import MarkedYAMLError
        from ruamel.yaml.reader import ReaderError

        from harness.study.reading.checked_parser import CheckedParser

        yaml = YAML(typ="safe", pure=True)
        yaml.Parser = partial(CheckedParser, check=self._check_event)
        try:
            root = yaml.compose(text)
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise self._error(mark, f"not valid YAML: {error.problem or error.context}") from error
        except ReaderError as error:
            raise StudyError(
                f"not valid YAML: the character U+{error.character:04X} is not allowed",
                at=_location_after(text[: error.position], self.file),
            ) from error
        if root is None:
            raise StudyError("the file is empty", at=Location(self.file, 1, 1))
        if root.id != "mapping":
            raise self._error(root.start_mark, "expected a mapping of keys to values")
        return Document(self._plain(root, ()), self.keys, self.values, self.file, text)

    def _check_event(self, event: Any) -> None:
        """Refuse everything that is not plain data before anything is built from it, so that no document is
        too deep or too long to be refused.
        """
        from ruamel.yaml import events as kinds

        if isinstance(event, kinds.AliasEvent):
            raise self._error(
                event.start_mark, f"the alias *{event.anchor} is not allowed", hint="write the value out"
            )
        if getattr(event, "tag", None) is not None:
            tag = str(event.tag).replace("tag:yaml.org,2002:", "!!")
            raise self._error(event.start_mark, f"the tag {tag} is not allowed", hint="use plain values only")
        if isinstance(event, kinds.CollectionStartEvent):
            self._depth += 1
        elif isinstance(event, kinds.CollectionEndEvent):
            self._depth -= 1
        elif isinstance(event, kinds.DocumentStartEvent):
            self._documents += 1
        if self._depth > MAX_DEPTH:
            raise self._error(event.start_mark, f"nested deeper than {MAX_DEPTH} levels")
        if self._documents > 1:
            raise self._error(
                event.start_mark, "a second YAML document starts here", hint="a file must hold one study"
            )

    def _plain(self, node: Any, path: KeyPath) -> Any:
        self.values[path] = self._location(node.start_mark)
        if node.id == "mapping":
            return dict(self._items(node, path))
        if node.id == "sequence":
            items = []
            for index, child in enumerate(node.value):
                self.keys[(*path, index)] = self._location(child.start_mark)
                items.append(self._plain(child, (*path, index)))
            return items
        return self._scalar(node)

    def _items(self, node: Any, path: KeyPath) -> Iterator[tuple[str, Any]]:
        seen: dict[str, Location] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            if key_node.id != "scalar" or not key:
                raise self._error(key_node.start_mark, "a key must be text, and not empty")
            kind = str(key_node.tag).rsplit(":", 1)[-1]
            if kind == "merge":
                raise self._error(
                    key_node.start_mark, "the merge key << is not allowed", hint="write the values out"
                )
            if kind != "str":
                raise self._error(
                    key_node.start_mark,
                    f"YAML reads the key {key} as {_KINDS.get(kind, kind)}",
                    hint="put it in quotes",
                )
            if key in seen:
                raise self._error(
                    key_node.start_mark, f"duplicate key {key!r}", f"it is already on line {seen[key].line}"
                )
            seen[key] = self.keys[(*path, key)] = self._location(key_node.start_mark)
            yield key, self._plain(value_node, (*path, key))
            if value_node.id == "scalar" and not value_node.value and value_node.style is None:
                self.values[(*path, key)] = seen[
                    key
                ]  # ruamel gives an absent value the location of the next token

    def _scalar(self, node: Any) -> Any:
        kind = str(node.tag).rsplit(":", 1)[-1]
        try:
            value = self._scalars.construct_object(node)
        except ValueError as error:
            raise self._error(
                node.start_mark, f"cannot read {node.value[:40]!r} as {_KINDS.get(kind, kind)}"
            ) from error
        if isinstance(value, float) and not math.isfinite(value):
            raise self._error(node.start_mark, f"{node.value} is not allowed", "use a finite number")
        if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
            raise self._error(
                node.start_mark, "the text has half of a surrogate pair, which is not a character"
            )
        if value is None or isinstance(value, bool | int | float | str):
            return value
        raise self._error(
            node.start_mark, f"YAML reads {node.value!r} as {_KINDS.get(kind, kind)}", hint="put it in quotes"
        )

    def _location(self, mark: Any) -> Location:
        return Location(self.file, mark.line + 1, mark.column + 1)

    def _error(self, mark: Any, message: str, hint: str | None = None) -> StudyError:
        at = self._location(mark) if mark is not None else Location(self.file)
        return StudyError(message, at=at, hint=hint)
