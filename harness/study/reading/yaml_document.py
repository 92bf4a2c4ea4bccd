"""YAML as a person wrote it: plain data, and the location of every key and value in the file.

It is YAML 1.2, read with ruamel.yaml (`1e-3` is a number, `no` is text). Anchors, aliases, duplicate keys,
tags, directives, several documents, keys that are not text, and files beyond the limits are errors with line
and column. The limits are checked before the work that they bound, so that no file takes long to be refused.
"""

from __future__ import annotations

import errno
import math
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from harness.errors import Location, StudyError

MAX_BYTES = 200_000
MAX_DEPTH = 20
MAX_NODES = 5_000
"""Keys and values together. The largest study that ships has about 1,300."""

MAX_DIGITS = 100
"""Characters of a number. Python's time to read an integer grows with the square of its digits."""

MAX_INTEGER = 2**63 - 1
"""What 64 bits hold, as databases and arrays store integers."""

MAX_TEXT, MAX_KEY = 10_000, 200
"""Characters of a text and of a key."""

KeyPath = tuple[str | int, ...]

_TEXT = ("str", "value", "merge")
"""Kinds that are text: YAML 1.2 gives the scalars `=` and `<<` no other meaning."""

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
        request. What is not on the way is shared with this document, and nobody changes it.

        Raises KeyError or TypeError if something on the path has no keys.
        """
        data = _with_value(self.data, path, part.data)
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
        replaced: set[KeyPath] = set()
        data = _merged_data(self.data, over.data, (), replaced)
        keys, values = (
            {at: location for at, location in table.items() if not _is_below(at, replaced)}
            for table in (self.keys, self.values)
        )
        keys |= {at: location for at, location in over.keys.items() if at}
        values |= {at: location for at, location in over.values.items() if at not in values}
        return Located(data, keys, values)

    def without(self, *paths: KeyPath) -> Located:
        """A copy without the keys at these paths, if they are there. Raises KeyError if a mapping on the way
        does not exist.
        """
        data = self.data
        for path in paths:
            data = _without_key(data, path)
        gone = set(paths)
        keys, values = (
            {at: location for at, location in table.items() if not _is_below(at, gone)}
            for table in (self.keys, self.values)
        )
        return Located(data, keys, values)


def _with_value(node: Any, path: KeyPath, value: Any) -> Any:
    """A copy of `node` with the value at `path`, which shares everything else with it."""
    if not path:
        return value
    step, *rest = path
    if not isinstance(node, dict | list):
        raise KeyError(step)
    copy: Any = node.copy()
    inner = copy.get(step, {}) if isinstance(copy, dict) else copy[step]
    copy[step] = _with_value(inner, tuple(rest), value)
    return copy


def _without_key(node: Any, path: KeyPath) -> Any:
    step, *rest = path
    if rest:
        return {**node, step: _without_key(node[step], tuple(rest))}
    return {key: value for key, value in node.items() if key != step}


def _merged_data(base: Any, over: Any, at: KeyPath, replaced: set[KeyPath]) -> Any:
    """The merged data. The paths at which `over` replaces something are added to `replaced`."""
    if not (isinstance(base, dict) and isinstance(over, dict)):
        replaced.add(at)
        return over
    merged = dict(base)
    for key, value in over.items():
        merged[key] = _merged_data(base[key], value, (*at, key), replaced) if key in base else value
    return merged


def _is_below(path: KeyPath, tops: set[KeyPath]) -> bool:
    """Whether the path is one of `tops`, or inside one."""
    return any(path[:end] in tops for end in range(len(path) + 1))


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
        if stat.S_ISFIFO(path.stat().st_mode):
            raise OSError(errno.EINVAL, "it is a pipe")  # opening it would wait for somebody to write
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
    if len(text) > MAX_BYTES:
        raise StudyError(f"the text is longer than {MAX_BYTES:,} characters", at=Location(file))
    return _Reader(file).read(text)


def read_value(text: str, *, at: Location) -> Any:
    """The value that a text of the command line has in YAML. Raises StudyError at `at` if it has none, or if
    it has more than one.
    """
    try:
        data = read_text(f"value: {text}", file=at.file).data
    except StudyError as error:
        raise StudyError(error.message, at=at, hint=error.hint) from None
    if len(data) != 1:
        raise StudyError("the value has a second line with a key of its own", at=at, hint="give one value")
    return data["value"]


def _location_after(text: str, file: str) -> Location:
    return Location(file, text.count("\n") + 1, len(text) - text.rfind("\n"))


class _Reader:
    def __init__(self, file: str) -> None:
        from ruamel.yaml import YAML

        self.file = file
        self._scalars = YAML(typ="safe", pure=True).constructor
        self.keys: dict[KeyPath, Location] = {}
        self.values: dict[KeyPath, Location] = {}
        self._depth = self._documents = self._nodes = 0

    def read(self, text: str) -> Document:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import MarkedYAMLError
        from ruamel.yaml.reader import ReaderError

        from harness.study.reading.checked_parser import CheckedParser, CheckedScanner

        yaml = YAML(typ="safe", pure=True)
        yaml.Scanner = CheckedScanner
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

        self._refuse_references(event)
        if isinstance(event, kinds.CollectionStartEvent):
            self._depth += 1
        elif isinstance(event, kinds.CollectionEndEvent):
            self._depth -= 1
        elif isinstance(event, kinds.DocumentStartEvent):
            self._documents += 1
        self._nodes += isinstance(event, kinds.NodeEvent)
        if self._nodes > MAX_NODES:
            raise self._error(
                event.start_mark, f"more than {MAX_NODES:,} keys and values", hint="is it a study?"
            )
        if self._depth > MAX_DEPTH:
            raise self._error(event.start_mark, f"nested deeper than {MAX_DEPTH} levels")
        if self._documents > 1:
            raise self._error(
                event.start_mark, "a second YAML document starts here", hint="a file must hold one study"
            )

    def _refuse_references(self, event: Any) -> None:
        """Raises StudyError at an alias, an anchor, a tag or a directive."""
        from ruamel.yaml import events as kinds

        anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)
        if isinstance(event, kinds.AliasEvent):
            what, hint = f"the alias *{event.anchor}", "write the value out"
        elif anchor is not None:
            what, hint = f"the anchor &{anchor}", "write the value out wherever it is needed"
        elif tag is not None:
            name = str(tag).replace("tag:yaml.org,2002:", "!!")
            what, hint = f"the tag {name}", "use plain values only"
        elif isinstance(event, kinds.DocumentStartEvent) and (event.version or event.tags):
            what, hint = "a directive", "leave out the lines that begin with %"
        else:
            return
        raise self._error(event.start_mark, f"{what} is not allowed", hint=hint)

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
            if kind not in _TEXT:
                raise self._error(
                    key_node.start_mark,
                    f"YAML reads the key {key} as {_KINDS.get(kind, kind)}",
                    hint="put it in quotes",
                )
            self._check_text(key_node, MAX_KEY)
            if key in seen:
                raise self._error(
                    key_node.start_mark,
                    f"duplicate key {key!r}",
                    f"it is already on line {seen[key].line}",
                )
            seen[key] = self.keys[(*path, key)] = self._location(key_node.start_mark)
            yield key, self._plain(value_node, (*path, key))
            if value_node.id == "scalar" and not value_node.value and value_node.style is None:
                self.values[(*path, key)] = seen[
                    key
                ]  # ruamel gives an absent value the location of the next token

    def _scalar(self, node: Any) -> Any:
        kind = str(node.tag).rsplit(":", 1)[-1]
        value = node.value if kind in _TEXT else self._constructed(node, _KINDS.get(kind, kind))
        if isinstance(value, str):
            self._check_text(node, MAX_TEXT)
        if value is None or isinstance(value, bool | int | float | str):
            return value
        raise self._error(
            node.start_mark, f"YAML reads {node.value!r} as {_KINDS.get(kind, kind)}", hint="put it in quotes"
        )

    def _check_text(self, node: Any, longest: int) -> None:
        """Raises StudyError if a text cannot be stored, or is too long to be read by a person."""
        if len(node.value) > longest:
            raise self._error(
                node.start_mark,
                f"a text of {len(node.value):,} characters",
                hint=f"at most {longest:,} are allowed here",
            )
        if any("\ud800" <= character <= "\udfff" for character in node.value):
            raise self._error(
                node.start_mark, "the text has half of a surrogate pair, which is not a character"
            )
        if "\0" in node.value:
            raise self._error(node.start_mark, "the text has the character U+0000, which cannot be stored")

    def _constructed(self, node: Any, noun: str) -> Any:
        """The value of a scalar that is not text."""
        if len(node.value) > MAX_DIGITS:
            raise self._error(
                node.start_mark,
                f"{noun} of {len(node.value):,} characters",
                hint=f"at most {MAX_DIGITS} characters are allowed",
            )
        try:
            value = self._scalars.construct_object(node)
        except ValueError as error:
            raise self._error(node.start_mark, f"cannot read {node.value[:40]!r} as {noun}") from error
        if isinstance(value, float) and not math.isfinite(value):
            raise self._error(node.start_mark, f"{node.value} is not allowed", "use a finite number")
        if isinstance(value, int) and abs(value) > MAX_INTEGER:
            raise self._error(node.start_mark, f"the integer {node.value} does not fit into 64 bits")
        return value

    def _location(self, mark: Any) -> Location:
        return Location(self.file, mark.line + 1, mark.column + 1)

    def _error(self, mark: Any, message: str, hint: str | None = None) -> StudyError:
        at = self._location(mark) if mark is not None else Location(self.file)
        return StudyError(message, at=at, hint=hint)
