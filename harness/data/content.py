"""What every corpus offers, wherever it comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeVar

from harness.errors import CorpusError, did_you_mean

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Kind = Literal["text", "pairs", "vectors"]


@dataclass(frozen=True, slots=True)
class Pair:
    """A sentence, its translation, and the names of their authors (empty if nobody has to be named)."""

    source: str
    target: str
    attribution: str = ""


@dataclass(frozen=True, slots=True)
class Vectors:
    """Word vectors: `values[i]`, float32 of shape (words, dimensions), belongs to `words[i]`."""

    words: list[str]
    values: NDArray[np.float32]


Content = str | list[Pair] | Vectors
ContentType = TypeVar("ContentType", str, list[Pair], Vectors)

Row = tuple[str, ...]
"""A row of a table of text: (text,) or (source, target)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """A corpus that is on this machine.

    `digest` identifies its content and its splits. A split is read when it is needed.
    """

    name: str
    kind: Kind
    digest: str
    splits: tuple[str, ...]
    read: Callable[[str], Content]

    def text(self, split: str) -> str:
        """The running text of `split`.

        Raises CorpusError if the corpus is of another kind, has no such split, or has a damaged file.
        """
        return self._content("text", split, str)

    def pairs(self, split: str) -> list[Pair]:
        """The translation pairs of `split`. A space stands for every line end in a sentence, so that
        training, translation and scores read the same text. Raises CorpusError as `text` does.
        """
        return [
            pair
            if "\n" not in pair.source and "\n" not in pair.target
            else replace(pair, source=pair.source.replace("\n", " "), target=pair.target.replace("\n", " "))
            for pair in self._content("pairs", split, list)
        ]

    def vectors(self) -> Vectors:
        """All word vectors. Raises CorpusError as `text` does."""
        return self._content("vectors", self.splits[0], Vectors)

    def sentences(self, split: str) -> list[str]:
        """The lines of running text, or the sources and targets of pairs: a tokenizer learns from them."""
        if self.kind == "pairs":
            return [sentence for pair in self.pairs(split) for sentence in (pair.source, pair.target)]
        return self.text(split).split("\n")

    def _content(self, kind: Kind, split: str, expected: type[ContentType]) -> ContentType:
        if self.kind != kind:
            raise CorpusError(
                f"corpus {self.name!r} is of kind {self.kind}, but kind {kind} is needed",
                hint="use another corpus; `harness data list` shows their kinds",
            )
        if split not in self.splits:
            hint = did_you_mean(split, self.splits)
            raise CorpusError(f"corpus {self.name!r} has no split {split!r}", hint=hint)
        content = self.read(split)
        if not content:
            raise CorpusError(f"split {split!r} of corpus {self.name!r} is empty")
        assert isinstance(content, expected)
        return content


def as_content(rows: Iterable[Row], *, paired: bool) -> Content:
    """Pairs, or running text in which every row ends its line."""
    if paired:
        return [Pair(source, target) for source, target in rows]
    return "".join(text if text.endswith("\n") else f"{text}\n" for (text,) in rows)
