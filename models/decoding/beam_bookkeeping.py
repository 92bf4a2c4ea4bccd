"""The bookkeeping of a beam search, in plain numbers: which beams continue, and the hypotheses that have
ended. Torch-free.

A step of a small model takes milliseconds, and objects for hundreds of beams would take a tenth of that. So a
beam is an index into the two lists of its sentence.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from harness.models.decoding.config import BeamSearch, GNMTPenalty, LengthPenalty, MeanPenalty

Tokens = tuple[int, ...]
# A beam extended by one token: its log-probability, the index of the beam that it continues, and the token.
Continuation = tuple[float, int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Hypothesis:
    """`tokens` are without the prompt and with the end token; `score` is the penalised log-probability."""

    tokens: Tokens
    log_probability: float
    score: float


def penalised(log_probability: float, *, length: int, penalty: LengthPenalty) -> float:
    """The log-probability with the length penalty. `length` never counts the prompt (transformers#26624)."""
    match penalty:
        case GNMTPenalty():
            return float(log_probability / ((5 + length) / 6) ** penalty.alpha)
        case MeanPenalty():
            return log_probability / length


@dataclass(kw_only=True, slots=True)
class Ended:
    """The hypotheses of one row that have ended: the `n_best`, best first, and the number of all of them."""

    settings: BeamSearch
    best: list[Hypothesis] = field(default_factory=list)
    count: int = 0

    def add(self, tokens: Tokens, log_probability: float) -> None:
        score = penalised(log_probability, length=len(tokens), penalty=self.settings.length_penalty)
        self.count += 1
        self.best.append(Hypothesis(tokens=tokens, log_probability=log_probability, score=score))
        self.best.sort(key=lambda hypothesis: -hypothesis.score)
        del self.best[self.settings.n_best :]

    def is_final(self, best_live: float, *, longest: int) -> bool:
        """Whether the row is done, given the log-probability of its best live beam.

        A hypothesis never becomes more probable, and the penalty is mildest for the longest. So the best that
        a live beam can reach is its present log-probability at `longest` tokens.
        """
        if best_live == -math.inf:
            return True
        if self.settings.stop == "enough":
            return self.count >= self.settings.width
        reachable = penalised(best_live, length=longest, penalty=self.settings.length_penalty)
        return len(self.best) == self.settings.n_best and reachable <= self.best[-1].score


class Sentence:
    """The live beams of one row of the prompt, in no order, and the hypotheses of the row that have `ended`.

    A beam that does not exist (yet) has the log-probability -inf.
    """

    def __init__(self, ended: Ended) -> None:
        self.ended = ended
        self.scores = [0.0]
        self.tokens: list[Tokens] = [()]

    def split(
        self, scores: Sequence[float], places: Sequence[int], *, vocabulary: int, end: int | None, last: bool
    ) -> list[Continuation]:
        """The `width` best candidates that continue. Those of the `width` best that end are added to `ended`.

        Scores come best first. A place is the index of a beam · vocabulary + token.
        """
        width = self.ended.settings.width
        going_on: list[Continuation] = []
        for rank, (score, candidate) in enumerate(zip(scores, places, strict=True)):
            if score == -math.inf or len(going_on) == width:
                break
            parent, token = divmod(candidate, vocabulary)
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
    """The result of a step: the previous sentences that are not done, and the row (of B · K) that each beam
    continues.

    `unchanged` is the number of leading tokens that a beam shares with the beam that had its index before.
    """

    sentences: list[int]
    parents: list[int]
    unchanged: list[int]


class Search:
    """The sentences that are not done, each with equally many beams, and the `ended` hypotheses of all
    sentences.
    """

    def __init__(self, settings: BeamSearch, *, batch: int, new_tokens: int, end: int | None) -> None:
        self.settings, self.new_tokens, self.end = settings, new_tokens, end
        self.ended = [Ended(settings=settings) for _ in range(batch)]
        self.sentences = [Sentence(ended) for ended in self.ended]
        self.length = 0
        """The number of tokens of every beam."""

    @property
    def width(self) -> int:
        """The number of beams of a sentence: one before the first step, `settings.width` after it."""
        return len(self.sentences[0].scores)

    @property
    def scores(self) -> list[float]:
        """The log-probabilities of all beams, row by row."""
        return [score for sentence in self.sentences for score in sentence.scores]

    @property
    def tokens(self) -> list[Tokens]:
        """The tokens of all beams, row by row."""
        return [tokens for sentence in self.sentences for tokens in sentence.tokens]

    def step(
        self, scores: Sequence[Sequence[float]], places: Sequence[Sequence[int]], *, vocabulary: int
    ) -> Moved:
        """Extend every beam by one token, from the best candidates of each sentence (see `Sentence.split`),
        and remove the sentences that are done.
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
            for index, (_, parent, _) in enumerate(placed):
                moved.parents.append(first_row + parent)
                shared = before if parent == index else common_prefix(tokens, parent, index)
                moved.unchanged.append(shared)
            moved.sentences.append(number)
            sentence.tokens = continued(tokens, placed)
            sentence.scores = [score for score, _, _ in placed]
        self.sentences = [self.sentences[number] for number in moved.sentences]
        return moved


def settled(going_on: Sequence[Continuation], width: int) -> list[Continuation]:
    """Give each candidate an index; the best child of a beam gets the index of that beam.

    So only rows whose beam has died out are overwritten. Indices that are left over get beams that do not
    exist.
    """
    first: dict[int, Continuation] = {}
    others: list[Continuation] = []
    for candidate in going_on:
        if first.setdefault(candidate[1], candidate) is not candidate:
            others.append(candidate)
    free = iter(others)
    return [first.get(index) or next(free, (-math.inf, index, 0)) for index in range(width)]


def continued(tokens: Sequence[Tokens], placed: Sequence[Continuation]) -> list[Tokens]:
    """The tokens of the extended beams. Before the first step there is one beam, which all continue."""
    if len(tokens) == 1:
        return [(*tokens[0], token) for _, _, token in placed]
    return [(*tokens[parent], token) for _, parent, token in placed]


def common_prefix(tokens: Sequence[Tokens], one: int, other: int) -> int:
    """The number of leading tokens that two beams have in common; 0 while there is only one beam."""
    if len(tokens) == 1:
        return 0
    here, there = tokens[one], tokens[other]
    return bisect_left(range(len(here)), x=True, key=lambda last: here[: last + 1] != there[: last + 1])
