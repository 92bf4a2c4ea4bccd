"""The parts of a study at each scale: the keys of the body, overridden by the part and by the scale."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from harness.config import IDENTIFIER_RULE, is_identifier
from harness.errors import Location, StudyError, did_you_mean
from harness.study.reading.validation_errors import shown
from harness.study.reading.yaml_document import Document, KeyPath, Located, read_value
from harness.study.schema import NAME, NAME_RULE

BODY_SCALE = "cpu"
"""The scale of a study's body. The other scales are overlays under `scales`."""

PARTS = "parts"
FILE_KEYS = ("study", "question", "scales", PARTS)
"""Keys that a part cannot have."""

MOST_SCALES, MOST_PARTS = 20, 50
"""Every part is read and checked at every scale."""

REMOVABLE = {"claims": "claim", "compare": "factor", "across": "condition"}
"""Sections from which a part or a scale can remove an entry by giving it as null → what an entry is."""


def scale_names(document: Document) -> tuple[str, ...]:
    """The names of the scales, the scale of the body first. Raises StudyError if `scales` is not valid."""
    overlays = document.data.get("scales", {})
    if not isinstance(overlays, dict):
        raise document.error(
            ("scales",),
            f"scales: expected a mapping of names to settings, found {shown(overlays)}",
            value=True,
        )
    if len(overlays) > MOST_SCALES:
        raise document.error(("scales",), f"the study has more than {MOST_SCALES} scales")
    for name, overlay in overlays.items():
        if not is_identifier(name):
            raise document.error(
                ("scales", name), f"scales: {name!r} is not a valid name", hint=IDENTIFIER_RULE
            )
        if not isinstance(overlay, dict):
            raise document.error(
                ("scales", name), f"scales.{name}: expected a mapping, found {shown(overlay)}", value=True
            )
        if "study" in overlay:
            raise document.error(("scales", name, "study"), "a scale cannot change the name of its study")
    return (BODY_SCALE, *(name for name in overlays if name != BODY_SCALE))


def part_names(document: Document) -> tuple[str, ...]:
    """The names of a study's parts, or one empty name. Raises StudyError if a name or a part is not valid."""
    name = document.data.get("study")
    if isinstance(name, str) and not re.fullmatch(NAME, name):
        raise document.error(("study",), f"study: {name!r} is not a valid name", hint=NAME_RULE, value=True)
    if PARTS not in document.data:
        for scale, overlay in document.data.get("scales", {}).items():
            if PARTS in overlay:
                raise document.error(
                    ("scales", scale, PARTS), "the study has no parts, so a scale cannot have parts"
                )
        return ("",)
    _check_parts(document, (PARTS,), None)
    names = tuple(document.data[PARTS])
    for scale, overlay in document.data.get("scales", {}).items():
        if PARTS in overlay:
            _check_parts(document, ("scales", scale, PARTS), names)
    return names


def _check_parts(document: Document, path: KeyPath, known: tuple[str, ...] | None) -> None:
    parts: Any = document.at(*path).data
    if not isinstance(parts, dict) or not parts:
        raise document.error(
            path, f"parts: expected a mapping of names to settings, found {shown(parts)}", value=True
        )
    if len(parts) > MOST_PARTS:
        raise document.error(path, f"the study has more than {MOST_PARTS} parts", hint="use several studies")
    for name, settings in parts.items():
        inner = (*path, name)
        if known is not None and name not in known:
            raise document.error(inner, f"there is no part {name!r}", hint=did_you_mean(name, known))
        if not re.fullmatch(NAME, name):
            raise document.error(inner, f"parts: {name!r} is not a valid name", hint=NAME_RULE)
        if not isinstance(settings, dict):
            raise document.error(
                inner, f"parts.{name}: expected a mapping, found {shown(settings)}", value=True
            )
        for key in FILE_KEYS:
            if key in settings:
                raise document.error(
                    (*inner, key), f"key {key!r} belongs to the study, not to one of its parts"
                )


class Layers:
    """The keys of each part at one scale, overridden by settings from the command line."""

    def __init__(self, document: Document, scale: str, settings: Sequence[str]) -> None:
        self._layers: list[Located] = [document.without(("scales",))]
        if scale in document.data.get("scales", {}):
            self._layers.append(document.at("scales", scale))
        self._settings = settings
        self._parts = tuple(document.data.get(PARTS, ()))

    def part(self, name: str) -> Located:
        """The part as if it were a study of its own, without the contents of recipes. An empty name stands
        for the study itself.
        """
        merged, *overlays = [layer for layers in self._layers for layer in _part_layers(layers, name)]
        for layer in overlays:
            merged = _overridden(merged, layer)
        for setting in self._settings:
            part, rest = self._part_of_setting(setting)
            if part in (None, name):
                merged = _with_setting(merged, rest, setting)
        if name and "study" in merged.data:
            full_name = f"{merged.data['study']}/{name}"
            at = merged.location(("study",), value=True)
            named = Located(full_name, {}, {(): at})  # type: ignore[arg-type]  # a scalar
            merged = merged.replaced(("study",), named, key=merged.location(("study",)))
        return merged

    def _part_of_setting(self, setting: str) -> tuple[str | None, str]:
        """The part that a setting is for, or None for all parts, and the setting without the part."""
        if not setting.startswith(f"{PARTS}."):
            return None, setting
        name, _, rest = setting.removeprefix(f"{PARTS}.").partition(".")
        if name not in self._parts:
            raise StudyError(
                f"there is no part {name!r}",
                at=Location(f"--set {setting}"),
                hint=did_you_mean(name, self._parts),
            )
        return name, rest


def _part_layers(layer: Located, name: str) -> Iterator[Located]:
    yield layer.without((PARTS,))
    if name in layer.data.get(PARTS, {}):
        yield layer.at(PARTS, name)


def _overridden(base: Located, layer: Located) -> Located:
    """`base` with the keys of the layer. A claim, factor or condition that is null there is removed."""
    removed = []
    for section, noun in REMOVABLE.items():
        known = _mapping(base, section)
        for name in [name for name, value in _mapping(layer, section).items() if value is None]:
            if name not in known:
                raise layer.error(
                    (section, name),
                    f"there is no {noun} {name!r} to leave out",
                    hint=did_you_mean(name, known),
                )
            removed.append((section, name))
    return base.without(*removed).merged(layer.without(*removed))


def _mapping(layer: Located, section: str) -> dict[str, Any]:
    entries = layer.data.get(section)
    return entries if isinstance(entries, dict) else {}  # validation reports anything else


def _with_setting(base: Located, setting: str, as_given: str) -> Located:
    dotted, equals, value = setting.partition("=")
    at = Location(f"--set {as_given}")
    keys = tuple(dotted.split("."))
    if not equals or not all(keys) or (keys[0] in FILE_KEYS and keys[0] != "question"):
        raise StudyError("a setting must have the form path=value, for example design.rounds=20", at=at)
    located = Located(read_value(value, at=at), {}, {(): at})
    try:
        return base.replaced(keys, located, key=at)
    except (KeyError, TypeError):
        raise StudyError(f"{dotted} cannot be set: part of this path is not a mapping", at=at) from None
