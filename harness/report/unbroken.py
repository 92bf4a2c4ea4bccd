"""Numbers and dates in the text of a page that a line must not break."""

from __future__ import annotations

import re

_SIGN, _NUMBER = "[-+−]?", r"\d(?:[\d.,]*\d)?(?:e[-+]?\d+)?"
_BREAKABLE = rf"{_SIGN}{_NUMBER}(?:–{_SIGN}{_NUMBER})+|{_SIGN}\d(?:\.\d+)?e[-+]\d+|\d{{4}}-\d\d-\d\d"
_LEFT_ALONE = r"<(script|style|svg|title|pre|textarea)\b.*?</\1\s*>|<[^>]*>"
_PIECE = re.compile(rf"{_LEFT_ALONE}|(?<![\w.&#;])({_BREAKABLE})(?!\w)", re.DOTALL)
"""A tag, an element whose content is left alone, or a number. A browser may break a line after a hyphen
between digits and after a dash, so it would divide `1e-05`, `0.94–1.02` and `2031-05-06`.
"""


def unbroken(page: str) -> str:
    """The HTML page with its breakable numbers in spans of the class `n`, which the style sheet never breaks.
    The text of the page stays the same, and so does everything inside of scripts, drawings and listings.
    """
    return _PIECE.sub(_in_span, page)


def _in_span(match: re.Match[str]) -> str:
    number = match.group(2)
    return f'<span class="n">{number}</span>' if number else match.group()
