"""The statistics of a corpus metric for every sentence, and the check that two systems can be compared."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from harness.statistics.signed_rank import Floats


@dataclass(frozen=True, slots=True, eq=False)
class SentenceStatistics:
    """Sufficient statistics of a corpus metric: `score` of their sums over the sentences is the score of the
    corpus.

    `values` is (sentences, k). `score` takes sums (…, k) to scores (…), so that one call scores thousands of
    resamples. A mean over sentences is the case k = 2: the value and 1. `signature` names everything except
    the text on which the score depends: settings, tokenizer, version. Raises ValueError if `values` is not a
    table, is empty, or is not finite.
    """

    metric: str
    signature: str
    values: Floats
    score: Callable[[Floats], Floats]

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or not self.values.size:
            raise ValueError(
                f"{self.metric} needs statistics (sentences, k), but their shape is {self.values.shape}"
            )
        bad = np.flatnonzero(~np.isfinite(self.values).all(axis=1))
        if bad.size:
            raise ValueError(f"{self.metric}: the statistics of sentence {bad[0] + 1} are not finite")

    @property
    def sentences(self) -> int:
        return int(self.values.shape[0])

    @property
    def corpus_score(self) -> float:
        return float(self.score(self.values.sum(axis=0)))

    @property
    def sentence_scores(self) -> Floats:
        """(sentences,): the score of each sentence as if it were a corpus of its own."""
        return self.score(self.values)


def ratio_of_sums(sums: Floats) -> Floats:
    """(…, 2) → (…): a sum divided by a count, for metrics that are means; NaN if the count is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio: Floats = sums[..., 0] / sums[..., 1]
    return ratio


def check_comparable(systems: Iterable[SentenceStatistics]) -> None:
    """Raises ValueError with the reason unless all systems have the same metric, signature and number of
    sentences, and a finite score.
    """
    first, *others = systems
    for system in (first, *others):
        if not math.isfinite(system.corpus_score):
            raise ValueError(f"{first.metric} cannot be compared, because a score is {system.corpus_score}")
    for other in others:
        for what in ("metric", "signature", "sentences"):
            here, there = getattr(first, what), getattr(other, what)
            if here != there:
                raise ValueError(
                    f"{first.metric} cannot be compared, because the {what} differs: {here!r} and {there!r}"
                )


def drawn_counts(sentences: int, resamples: int, rng: np.random.Generator) -> Iterator[Floats]:
    """How often each sentence is drawn, with replacement: chunks (≤ 500, sentences) with `resamples` rows in
    all.
    """
    for start in range(0, resamples, 500):
        rows = min(500, resamples - start)
        drawn = rng.integers(sentences, size=(rows, sentences), dtype=np.int64)
        drawn += np.arange(rows)[:, None] * sentences
        counts = np.bincount(drawn.ravel(), minlength=rows * sentences)
        yield counts.reshape(rows, sentences).astype(np.float64)
