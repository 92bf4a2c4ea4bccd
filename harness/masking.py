"""Secrets in texts: passwords, tokens and keys become `***` before a text is recorded or printed.

Three forms are recognised: user information in URLs (`postgresql://user:password@host`, also in one that is
mistyped), values whose names say that they are secret (`?sslpassword=…`, `--api-key=…`, `TORCH_TOKEN=…`), and
the argument after an option with such a name. All patterns take linear time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

MASK = "***"

_SCHEMES = r"(?:postgres(?:ql)?|sqlite|mysql|mariadb|oracle|mssql|redis|mongodb)(?:\+\w+)?"
_AUTHORITY = rf"(?:\b[a-z][a-z0-9+.-]{{0,30}}:/{{1,3}}|//|\b{_SCHEMES}[:/]{{1,4}})"
_BEFORE_PASSWORD = re.compile(rf"{_AUTHORITY}[^/?#:@'\"\s]{{0,200}}:(?!\d{{1,5}}/)", re.IGNORECASE)
_WEB_USER = re.compile(r"(\bhttps?://)[^\s/?#@'\"]+(?=@)", re.IGNORECASE)
"""The user of a web address may be a token, as in `https://TOKEN@github.com/name/repository`."""

_SECRET_NAME = (
    r"(?:pass(?:word|wd|phrase)|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credentials?)"
)
_VALUE = re.compile(
    rf"({_SECRET_NAME}(?:=|['\"]\s?[:=]\s?)['\"]?)(?!\d{{1,5}}(?![^\s&;,'\"#)\]]))[^\s&;'\"#]+",
    re.IGNORECASE,
)
"""A short number is not masked: `token=17` is the id of a token of a text."""

_SECRET_OPTION = re.compile(rf"--?[\w-]*{_SECRET_NAME}", re.IGNORECASE)
_WORD = re.compile(r"\S+")


def masked(text: str) -> str:
    """The text with every secret replaced by `***`. Masking twice changes nothing more."""
    if "@" in text:
        text = _WORD.sub(lambda word: _without_password(word[0]), text)
        text = _WEB_USER.sub(rf"\1{MASK}", text)
    return _VALUE.sub(rf"\1{MASK}", text) if "=" in text or ":" in text else text


def masked_arguments(arguments: Iterable[str]) -> tuple[str, ...]:
    """The arguments of a command without secrets."""
    return tuple(_masked_arguments(arguments))


def _masked_arguments(arguments: Iterable[str]) -> Iterator[str]:
    is_secret = False
    for argument in arguments:
        # a URL that is an argument by itself may have a password with spaces
        yield MASK if is_secret else masked(_without_password(argument))
        is_secret = _SECRET_OPTION.fullmatch(argument) is not None


def _without_password(word: str) -> str:
    """A word with everything masked between the user of its first URL and the `@` of its last one."""
    end = word.rfind("@")
    start = _BEFORE_PASSWORD.search(word, 0, end) if end > 0 else None
    return f"{word[: start.end()]}{MASK}{word[end:]}" if start else word
