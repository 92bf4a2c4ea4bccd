"""What a corpus metric needs of every sentence, and when two systems may be compared by it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from harness.statistics.signed_rank import Floats


@dataclass(frozen=True, slots=True, eq=False)
class SentenceStatistics:
    """Sufficient statistics of a corpus metric: the score of a corpus is `score` of the sums over its
    sentences.

    `values` is (sentences, k); `score` takes sums (…, k) to scores (…), so that thousands of resamples are
    one call. A mean over sentences is the case k = 2: the value and 1. `signature` tells everything that the
    score depends on but the text: settings, tokenizer, version. Raises ValueError where `values` is no table,
    empty, or not finite.
    """

    metric: str
    signature: str
    values: Floats
    score: Callable[[Floats], Floats]

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or not self.values.size:
            raise ValueError(f"{self.metric} needs statistics (sentences, k), not {self.values.shape}")
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
    """(…, 2) → (…): a sum over a count, for mean metrics; NaN where the count is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio: Floats = sums[..., 0] / sums[..., 1]
    return ratio


def check_comparable(systems: Iterable[SentenceStatistics]) -> None:
    """ValueError, telling why, unless all are of one metric, one signature, as many sentences, and score
    finitely.
    """
    first, *others = systems
    for system in (first, *others):
        if not math.isfinite(system.corpus_score):
            raise ValueError(f"{first.metric} cannot be compared: a score is {system.corpus_score}")
    for other in others:
        for what in ("metric", "signature", "sentences"):
            here, there = getattr(first, what), getattr(other, what)
            if here != there:
                raise ValueError(f"{first.metric} cannot be compared: {what} {here!r} against {there!r}")


def drawn_counts(sentences: int, resamples: int, rng: np.random.Generator) -> Iterator[Floats]:
    """Chunks (≤ 500, sentences), `resamples` rows in all: how often each sentence is drawn, with replacement."""
    for start in range(0, resamples, 500):
        rows = min(500, resamples - start)
        drawn = rng.integers(sentences, size=(rows, sentences), dtype=np.int64)
        drawn += np.arange(rows)[:, None] * sentences
        counts = np.bincount(drawn.ravel(), minlength=rows * sentences)
        yield counts.reshape(rows, sentences).astype(np.float64)
