"""Which beams go on: a search's bookkeeping, in plain numbers. Torch-free."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from models.decoding.config import BeamSearch
from models.decoding.hypotheses import Ended


class Beam(NamedTuple):
    """A hypothesis that goes on. One that does not exist (yet) has the log-probability -inf."""

    score: float
    tokens: tuple[int, ...]


class Continuation(NamedTuple):
    """A beam by one token longer; `parent` is the place of the beam that it continues."""

    score: float
    parent: int
    token: int


class Sentence:
    """The live beams of one row of the prompt, in no order, and its hypotheses that have ended."""

    def __init__(self, ended: Ended) -> None:
        self.ended = ended
        self.beams = [Beam(0.0, ())]

    def split(
        self, scores: Sequence[float], places: Sequence[int], *, vocabulary: int, end: int | None, last: bool
    ) -> list[Continuation]:
        """The `width` best candidates that go on; what ends among the `width` best of all is added to `ended`.

        Scores come best first, and a place is parent · vocabulary + token.
        """
        width = self.ended.settings.width
        going_on: list[Continuation] = []
        for rank, (score, place) in enumerate(zip(scores, places, strict=True)):
            if score == -math.inf or len(going_on) == width:
                break
            parent, token = divmod(place, vocabulary)
            if not last and token != end:
                going_on.append(Continuation(score, parent, token))
            elif rank < width:
                self.ended.add((*self.beams[parent].tokens, token), score)
        if not going_on and not self.ended.count:  # every token would repeat an n-gram: it ends here
            for beam in self.beams:
                if beam.score > -math.inf:
                    self.ended.add(beam.tokens, beam.score)
        return going_on


class Moved(NamedTuple):
    """After a step: which of the sentences before are not done, the row (of B · K) that each beam continues now, and
    how many of its leading tokens are those of the row that was in its place.
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
        return len(self.sentences[0].beams)

    @property
    def beams(self) -> list[Beam]:
        """Those of all sentences, row by row."""
        return [beam for sentence in self.sentences for beam in sentence.beams]

    def step(
        self, scores: Sequence[Sequence[float]], places: Sequence[Sequence[int]], *, vocabulary: int
    ) -> Moved:
        """One token further, with the best candidates of each sentence (see `Sentence.split`); leaves out those done."""
        self.length += 1
        last = self.length == self.new_tokens
        undone: list[int] = []
        parents: list[int] = []
        unchanged: list[int] = []
        for number, (sentence, best, where) in enumerate(zip(self.sentences, scores, places, strict=True)):
            going_on = sentence.split(best, where, vocabulary=vocabulary, end=self.end, last=last)
            best_live = going_on[0].score if going_on else -math.inf
            if sentence.ended.is_final(best_live, longest=self.new_tokens):
                continue
            before, rows = sentence.beams, len(undone) * self.settings.width
            placed = settled(going_on, self.settings.width)
            sentence.beams = continued(before, placed)
            unchanged += [common_prefix(before, place, each.parent) for place, each in enumerate(placed)]
            undone.append(number)
            parents += [rows + each.parent for each in placed]
        self.sentences = [self.sentences[number] for number in undone]
        return Moved(undone, parents, unchanged)


def settled(going_on: Sequence[Continuation], width: int) -> list[Continuation]:
    """Give each its place, the first child of a parent that of its parent: only rows whose own beam died out are copied to.

    Places that are left over get beams that do not exist.
    """
    first: dict[int, Continuation] = {}
    others: list[Continuation] = []
    for each in going_on:
        if first.setdefault(each.parent, each) is not each:
            others.append(each)
    free = iter(others)
    return [first.get(place) or next(free, Continuation(-math.inf, place, 0)) for place in range(width)]


def continued(beams: Sequence[Beam], placed: Sequence[Continuation]) -> list[Beam]:
    """The beams by one token longer; before the first step there is one, which all of them continue."""
    return [
        Beam(each.score, (*beams[min(each.parent, len(beams) - 1)].tokens, each.token)) for each in placed
    ]


def common_prefix(beams: Sequence[Beam], one: int, other: int) -> int:
    """How many leading tokens two beams have in common; none where there is no such beam yet."""
    if max(one, other) >= len(beams):
        return 0
    here, there = beams[one].tokens, beams[other].tokens
    if one == other:
        return len(here)
    return bisect_left(range(len(here)), x=True, key=lambda last: here[: last + 1] != there[: last + 1])
