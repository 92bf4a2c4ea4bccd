"""Division into splits: separate documents by a stable hash, running text by position."""

from __future__ import annotations

import hashlib
from typing import Self

from pydantic import Field, model_validator

from harness.config import Config

SPLITS = ("train", "valid", "test")


class Fractions(Config):
    """The fractions held out for validation and test, each at least 0 and together at most a half."""

    valid: float = Field(default=0.05, ge=0.0)
    """The fraction that is held out for validation."""

    test: float = Field(default=0.05, ge=0.0)
    """The fraction that is held out for the test."""

    @model_validator(mode="after")
    def _leaves_training_text(self) -> Self:
        if self.valid + self.test > 0.5:
            raise ValueError(
                f"valid {self.valid:g} and test {self.test:g} together are more than a half; hold out less"
            )
        return self


def stable_fraction(key: str, *, salt: str) -> float:
    """A number in [0, 1) for `key`, uniform over keys and the same on every machine."""
    leading = hashlib.sha256(f"{salt}\0{key}".encode()).digest()[:8]
    return int.from_bytes(leading, "big") / 2**64


def stable_split(key: str, *, salt: str, fractions: Fractions) -> str:
    """The split of the document `key`: the same on every machine, whatever other documents there are.

    Rows that must be in the same split have the same key: the key of a translation pair is its source.
    """
    position = stable_fraction(key, salt=salt)
    if position < fractions.test:
        return "test"
    return "valid" if position < fractions.test + fractions.valid else "train"


_NEAR = 1000
"""Characters among which white space is looked for."""

RUNNING_DIVISION = 2
"""The version of how running text is divided. It is part of what identifies a divided text."""


def running_split(text: str, split: str, *, fractions: Fractions) -> str:
    """A split of running text: first train, then valid, then test.

    Each begins at the start of a line, unless that line is so long that a split would become shorter or
    longer by more than half of the smallest part that is held out. Then it begins after white space, and if
    there is none near enough, anywhere.
    """
    ends = [round(len(text) * share) for share in (1 - fractions.valid - fractions.test, 1 - fractions.test)]
    smallest = min(filter(None, (fractions.valid, fractions.test)), default=1.0)
    first, second = (_cut(text, end, at_most=round(len(text) * smallest / 2)) for end in ends)
    return {"train": text[:first], "valid": text[first:second], "test": text[second:]}[split]


def running_share(text: str, share: float) -> str:
    """The beginning of `text`: that share of its characters, without the last line if it is incomplete."""
    return text[: _line_start(text, round(len(text) * share))]


def _cut(text: str, position: int, *, at_most: int) -> int:
    """The best place to cut a text that is at most so many characters before `position`."""
    line = _line_start(text, position)
    if position == len(text):
        return position
    if position - line <= at_most:
        return line
    near = text[position - min(at_most, _NEAR) : position]
    after_space = max((index + 1 for index, character in enumerate(near) if character.isspace()), default=0)
    return position - len(near) + after_space if after_space else position


def _line_start(text: str, position: int) -> int:
    return text.rfind("\n", 0, position) + 1
