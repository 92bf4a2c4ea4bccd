"""Texts that a person did not write here (studies, trials, files) as a terminal, a page or a message shows
them: nothing invisible, nothing that acts, nothing endless.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_INVISIBLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Control characters; bidirectional controls, zero-width characters and tags; isolated surrogates; separators
of lines and paragraphs."""

LONGEST_WORD, LONGEST_MESSAGE = 200, 1000


_FORMULA = re.compile(r"[=@\t\r]|[+-](?!\d*\.?\d+(?:e[+-]?\d+)?\Z)", re.IGNORECASE)
"""The beginning of a text that a spreadsheet would compute: not that of a number with a sign."""


def visible(text: str, *, keep: str = "") -> str:
    """The text with every character that cannot be seen, or that changes how others are shown, as an escape:
    `\\x1b`, `\\u202e`. The characters of `keep` stay as they are.
    """
    if text.isprintable():
        return text
    return _suspect(keep).sub(lambda match: _escaped(match[0]), text)


@cache
def _suspect(keep: str) -> re.Pattern[str]:
    return re.compile(rf"[^ -~{re.escape(keep)}]")


def one_line(text: str) -> str:
    """The visible text with each run of white space as one space."""
    return visible(" ".join(text.split()))


def shortened(text: str) -> str:
    """A message that is short enough to be read: long words and long messages lose their middle. The parts of
    a path are words.
    """
    if len(text) <= LONGEST_WORD:
        return text
    text = re.sub(
        rf"[^\s/]{{{LONGEST_WORD + 1},}}", lambda word: _without_middle(word[0], LONGEST_WORD), text
    )
    return _without_middle(text, LONGEST_MESSAGE)


def _without_middle(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - longest // 4 - 1]}…{text[-(longest // 4) :]}"


def _escaped(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    if unicodedata.category(character) not in _INVISIBLE and code & 0xFFFE != 0xFFFE:
        return (
            character  # white space other than the space, and characters that this Python does not know yet
        )
    if character in _SHORT:
        return _SHORT[character]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def without_formula(text: str) -> str:
    """The text as a cell of CSV. One that a spreadsheet would take for a formula begins with an apostrophe,
    which spreadsheets read as the beginning of a text.
    """
    return f"'{text}" if _FORMULA.match(text) else text
