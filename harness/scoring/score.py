"""What a module of scores declares, and the formulas that several of them share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from harness.scoring.texts import WrittenTexts
from harness.statistics import SentenceStatistics, ratio_of_sums
from harness.statistics.rank_sums import Floats

Formula = Callable[[Floats], Floats]
"""From the sums of a score's statistics over sentences, (…, k), to the score of the corpus, (…)."""


@dataclass(frozen=True, kw_only=True)
class TextScores:
    """Scores that are computed together. Each name is that of a metric's record.

    `formulas` has the formula of each score with statistics per sentence, and `compute` returns these
    statistics. With the formula, statistics that were stored can be tested and resampled without the texts.
    `figures` are values of all texts together, which have no statistics per sentence.
    """

    formulas: Mapping[str, Formula]
    compute: Callable[[WrittenTexts], Iterable[SentenceStatistics]]
    figures: Mapping[str, Callable[[WrittenTexts], float]] = field(default_factory=dict)


def sentence_statistics(
    metric: str,
    signature: str,
    values: ArrayLike,
    formula: Formula = ratio_of_sums,
    texts: tuple[str, ...] = (),
) -> SentenceStatistics:
    """The statistics (sentences, k) of a score with this formula."""
    return SentenceStatistics(metric, signature, np.asarray(values, dtype=np.float64), formula, texts)


def averaged(metric: str, signature: str, values: Sequence[float]) -> SentenceStatistics:
    """The statistics of a score that is the mean of its `values`, one per sentence."""
    return sentence_statistics(metric, signature, [(value, 1.0) for value in values])
