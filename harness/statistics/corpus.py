"""The statistics of a corpus metric for every sentence, and the check that two systems can be compared."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from harness.statistics.rank_sums import Floats

MOST_VALUES = 10_000_000


@dataclass(frozen=True, slots=True, eq=False)
class SentenceStatistics:
    """Sufficient statistics of a corpus metric: `score` of their sums over the sentences is the score of the
    corpus.

    `values` is (sentences, k). `score` takes sums (…, k) to scores (…), so that one call scores thousands of
    resamples. A mean over sentences is the case k = 2: the value and 1. `signature` names everything except
    the text on which the score depends: settings, tokenizer, version. `texts` names the text of each
    sentence: sentences with the same name are one observation, because the same text written twice shows
    nothing new. It is empty if every sentence is a text of its own. Raises ValueError if `values` is not a
    table, is empty, or is not finite, or if there is not one name per sentence.
    """

    metric: str
    signature: str
    values: Floats
    score: Callable[[Floats], Floats]
    texts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or not self.values.size:
            raise ValueError(
                f"{self.metric} needs statistics (sentences, k), but their shape is {self.values.shape}"
            )
        bad = np.flatnonzero(~np.isfinite(self.values).all(axis=1))
        if bad.size:
            raise ValueError(f"{self.metric}: the statistics of sentence {bad[0] + 1} are not finite")
        if self.texts and len(self.texts) != self.sentences:
            raise ValueError(f"{self.metric} has {len(self.texts)} texts for {self.sentences} sentences")

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

    @property
    def effective_texts(self) -> float:
        """The number of texts that would count as much if none were repeated more often than the others: (Σ
        n)² ÷ Σ n² over the sentences n of each text (Kish 1965, §11.7).
        """
        copies = Counter(self.texts).values()
        return self.sentences**2 / sum(number**2 for number in copies) if copies else float(self.sentences)

    def where(self, chosen: NDArray[np.bool_]) -> Self:
        """The statistics of some of the sentences. `chosen` is (sentences,)."""
        texts = tuple(self.texts[row] for row in np.flatnonzero(chosen)) if self.texts else ()
        return replace(self, values=self.values[chosen], texts=texts)

    def by_text(self) -> Self:
        """One row per distinct text, in the order of their names: the sums over its sentences.

        The sums do not depend on the order of the sentences, not even in their last digit.
        """
        if not self.texts:
            return self
        rows: dict[str, list[int]] = {}
        for row, name in enumerate(self.texts):
            rows.setdefault(name, []).append(row)
        names = tuple(sorted(rows))
        sums = [
            self.values[rows[name][0]]
            if len(rows[name]) == 1
            else [math.fsum(column) for column in self.values[rows[name]].T]
            for name in names
        ]
        return replace(self, values=np.array(sums), texts=names)

    def pseudo_values(self) -> Floats:
        """(sentences,): n · score − (n − 1) · the score without the sentence (Efron & Tibshirani 1993,
        §11.5).

        For a mean these are the values themselves. Their mean and their variance over n are the jackknife's
        estimates of the score and of its variance.
        """
        total, n = self.values.sum(axis=0), self.sentences
        pseudo: Floats = n * float(self.score(total)) - (n - 1) * self.score(total - self.values)
        return pseudo


def ratio_of_sums(sums: Floats) -> Floats:
    """(…, 2) → (…): a sum divided by a count, for metrics that are means; NaN if the count is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio: Floats = sums[..., 0] / sums[..., 1]
    return ratio


def check_comparable(systems: Iterable[SentenceStatistics]) -> None:
    """Raises ValueError with the reason unless all systems have the same metric, signature and texts, and a
    finite score.
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
        if first.texts != other.texts:
            raise ValueError(f"{first.metric} cannot be compared, because the texts differ")


def rows_at_once(most: int, sentences: int) -> int:
    """The number of resamples of so many sentences that are drawn at once: `most`, or as many as have
    `MOST_VALUES` values, in multiples of 4, so that the random numbers are the same.
    """
    return min(most, max(4, MOST_VALUES // sentences // 4 * 4))


def drawn_counts(sentences: int, resamples: int, rng: np.random.Generator) -> Iterator[Floats]:
    """How often each sentence is drawn, with replacement: chunks (≤ 500, sentences) with `resamples` rows in
    all.
    """
    at_once = rows_at_once(500, sentences)
    for start in range(0, resamples, at_once):
        rows = min(at_once, resamples - start)
        drawn = rng.integers(sentences, size=(rows, sentences), dtype=np.int64)
        drawn += np.arange(rows)[:, None] * sentences
        counts = np.bincount(drawn.ravel(), minlength=rows * sentences)
        yield counts.reshape(rows, sentences).astype(np.float64)
