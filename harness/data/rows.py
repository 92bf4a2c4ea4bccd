"""Rows of a table on their way to text or translation pairs: shared by files and Hugging Face data sets."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from harness.data.content import Content, Pair
from harness.data.splits import Fractions, stable_split

Row = tuple[str, ...]
"""(text,) or (source, target)."""


def held_out_rows(rows: Iterable[Row], split: str, *, fractions: Fractions) -> list[Row]:
    """The rows of `split`, by the hash of their text or source: equal ones never part."""
    divide = partial(stable_split, salt="rows", fractions=fractions)
    return [row for row in rows if divide(row[0]) == split]


def as_content(rows: Iterable[Row], *, paired: bool) -> Content:
    """Pairs, or running text in which every row ends its line."""
    if paired:
        return [Pair(source, target) for source, target in rows]
    return "".join(text if text.endswith("\n") else f"{text}\n" for (text,) in rows)
