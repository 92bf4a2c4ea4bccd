"""Which beams go on: a search's bookkeeping, in plain numbers. Torch-free.

A step of a small model takes milliseconds, and objects for hundreds of beams would take a tenth of that: so a
beam is its place in a sentence's two lists.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from harness.models.decoding.config import BeamSearch
from harness.models.decoding.hypotheses import Ended

Tokens = tuple[int, ...]
# A beam by one token longer: its log-probability, the place of the beam that it continues, the token.
Continuation = tuple[float, int, int]


class Sentence:
    """The live beams of one row of the prompt, in no order, and its hypotheses that have `ended`.

    A beam that does not exist (yet) has the log-probability -inf.
    """

    def __init__(self, ended: Ended) -> None:
        self.ended = ended
        self.scores = [0.0]
        self.tokens: list[Tokens] = [()]

    def split(
        self, scores: Sequence[float], places: Sequence[int], *, vocabulary: int, end: int | None, last: bool
    ) -> list[Continuation]:
        """The `width` best candidates that go on; what ends among the `width` best of all is added to
        `ended`.

        Scores come best first, and a place is that of a beam · vocabulary + token.
        """
        width = self.ended.settings.width
        going_on: list[Continuation] = []
        for rank, (score, place) in enumerate(zip(scores, places, strict=True)):
            if score == -math.inf or len(going_on) == width:
                break
            parent, token = divmod(place, vocabulary)
            if not last and token != end:
                going_on.append((score, parent, token))
            elif rank < width:
                self.ended.add((*self.tokens[parent], token), score)
        if not going_on and not self.ended.count:  # every token would repeat an n-gram: it ends here
            for score, tokens in zip(self.scores, self.tokens, strict=True):
                if score > -math.inf:
                    self.ended.add(tokens, score)
        return going_on


class Moved(NamedTuple):
    """After a step: which of the sentences before are not done, and the row (of B · K) that each beam
    continues now.

    `unchanged` is how many of its leading tokens are those of the beam that was in its place.
    """

    sentences: list[int]
    parents: list[int]
    unchanged: list[int]


class Search:
    """The sentences that are not done, each with as many beams, and what has `ended` of all of them."""

    def __init__(self, settings: BeamSearch, *, batch: int, new_tokens: int, end: int | None) -> None:
        self.settings, self.new_tokens, self.end = settings, new_tokens, end
        self.ended = [Ended(settings=settings) for _ in range(batch)]
        self.sentences = [Sentence(ended) for ended in self.ended]
        self.length = 0
        """Tokens of every beam."""

    @property
    def width(self) -> int:
        """Beams of a sentence: one before the first step, `settings.width` after it."""
        return len(self.sentences[0].scores)

    @property
    def scores(self) -> list[float]:
        """Of all beams, row by row."""
        return [score for sentence in self.sentences for score in sentence.scores]

    @property
    def tokens(self) -> list[Tokens]:
        """Of all beams, row by row."""
        return [tokens for sentence in self.sentences for tokens in sentence.tokens]

    def step(
        self, scores: Sequence[Sequence[float]], places: Sequence[Sequence[int]], *, vocabulary: int
    ) -> Moved:
        """One token further, with the best candidates of each sentence (see `Sentence.split`); leaves out
        those done.
        """
        moved = Moved([], [], [])
        width, before = self.settings.width, self.length
        self.length += 1
        last = self.length == self.new_tokens
        for number, (sentence, best, where) in enumerate(zip(self.sentences, scores, places, strict=True)):
            going_on = sentence.split(best, where, vocabulary=vocabulary, end=self.end, last=last)
            best_live = going_on[0][0] if going_on else -math.inf
            if sentence.ended.is_final(best_live, longest=self.new_tokens):
                continue
            placed = settled(going_on, width)
            first_row = len(moved.sentences) * width
            tokens = sentence.tokens
            for place, (_, parent, _) in enumerate(placed):
                moved.parents.append(first_row + parent)
                alike = before if parent == place else common_prefix(tokens, parent, place)
                moved.unchanged.append(alike)
            moved.sentences.append(number)
            sentence.tokens = continued(tokens, placed)
            sentence.scores = [score for score, _, _ in placed]
        self.sentences = [self.sentences[number] for number in moved.sentences]
        return moved


def settled(going_on: Sequence[Continuation], width: int) -> list[Continuation]:
    """Give each its place, the best child of a parent that of its parent: only rows whose own beam died out
    are copied to.

    Places that are left over get beams that do not exist.
    """
    first: dict[int, Continuation] = {}
    others: list[Continuation] = []
    for each in going_on:
        if first.setdefault(each[1], each) is not each:
            others.append(each)
    free = iter(others)
    return [first.get(place) or next(free, (-math.inf, place, 0)) for place in range(width)]


def continued(tokens: Sequence[Tokens], placed: Sequence[Continuation]) -> list[Tokens]:
    """The tokens of beams by one longer; before the first step there is one beam, which all of them continue."""
    if len(tokens) == 1:
        return [(*tokens[0], token) for _, _, token in placed]
    return [(*tokens[parent], token) for _, parent, token in placed]


def common_prefix(tokens: Sequence[Tokens], one: int, other: int) -> int:
    """How many leading tokens the beams of two places have in common; none where there is only one beam yet."""
    if len(tokens) == 1:
        return 0
    here, there = tokens[one], tokens[other]
    return bisect_left(range(len(here)), x=True, key=lambda last: here[: last + 1] != there[: last + 1])
