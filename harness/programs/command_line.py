"""Command lines with settings in braces: `--lr {lr}`. Two braces stand for one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_BRACES = re.compile(rf"\{{\{{|\}}\}}|\{{({_NAME})\}}|[{{}}]")


def is_name(text: str) -> bool:
    """Whether a setting of this name can stand in braces."""
    return re.fullmatch(_NAME, text) is not None


def settings_in(words: Iterable[str]) -> set[str]:
    """The names of the settings that the words mention."""
    return {match.group(1) for word in words for match in _BRACES.finditer(word) if match.group(1)}


def lone_brace(word: str) -> str | None:
    """What follows the first brace of the word that is neither doubled nor part of a setting, with the brace,
    or None.
    """
    braces = (match for match in _BRACES.finditer(word) if match.group(0) in ("{", "}"))
    match = next(braces, None)
    return None if match is None else word[match.start() :]


def filled(word: str, settings: Mapping[str, object]) -> str:
    """The word with every setting in its place, as YAML writes it. Raises KeyError for an unknown one."""

    def text(match: re.Match[str]) -> str:
        name = match.group(1)
        return match.group(0)[0] if name is None else _text(settings[name])

    return _BRACES.sub(text, word)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else str(value)
