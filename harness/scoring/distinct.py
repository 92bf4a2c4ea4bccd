"""Which of the sentences that were written are the same text.

Scores are paired by what a sentence is, its source and its reference, not by its position. And a text that
occurs several times, or that consists mostly of passages of other texts, as windows of a file do that repeats
one line, is one observation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache

PASSAGE = 30
"""Characters of a passage. A text that is not longer is compared as a whole."""


@lru_cache(maxsize=8)
def sentence_keys(sources: tuple[str, ...], references: tuple[str, ...]) -> tuple[str, ...]:
    """The SHA-256 of each source with its reference."""
    return tuple(_key(pair) for pair in zip(sources, references, strict=True))


@lru_cache(maxsize=8)
def distinct_texts(sources: tuple[str, ...], references: tuple[str, ...]) -> tuple[str, ...]:
    """The name of each sentence's text: equal names are one text.

    Sentences are one text if their sources are equal, or if at least half of the passages of one occur in the
    others. The names do not depend on the order of the sentences.
    """
    keys = sentence_keys(sources, references)
    group = {key: key for key in keys}
    first_with: dict[str, str] = {}
    for key, source, reference in sorted(set(zip(keys, sources, references, strict=True))):
        passages = _passages(source + reference)
        known = [first_with[passage] for passage in passages if passage in first_with]
        same = set(known) if 2 * len(known) >= len(passages) else set()
        same |= {first_with[source_key]} if (source_key := f"source {source}") in first_with else set()
        for other in same:
            _join(group, key, other)
        for passage in (*passages, source_key):
            first_with.setdefault(passage, key)
    return tuple(_name(group, key) for key in keys)


def _key(pair: Sequence[str]) -> str:
    text = "\0".join(f"{len(part)} {part}" for part in pair)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _passages(text: str) -> list[str]:
    return [text[start : start + PASSAGE] for start in range(max(1, len(text) - PASSAGE + 1))]


def _name(group: dict[str, str], key: str) -> str:
    while group[key] != key:
        group[key] = key = group[group[key]]
    return key


def _join(group: dict[str, str], one: str, other: str) -> None:
    """Both get the smaller of their names."""
    low, high = sorted((_name(group, one), _name(group, other)))
    group[high] = low
