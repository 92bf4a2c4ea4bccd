"""How long the output is against its reference, and any score by the length of the source."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from harness.errors import InputError
from harness.scoring.formulas import scored
from harness.scoring.texts import check_strings
from harness.statistics import SentenceStatistics


@dataclass(frozen=True, slots=True)
class Bucket:
    """Sources of `low` to `high` words, the latter excluded; inf where there is no bound."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:g}+" if math.isinf(self.high) else f"{self.low:g}-{self.high - 1:g}"


def length_ratio(statistics: SentenceStatistics) -> SentenceStatistics:
    """Length of the output over that of the reference, in BLEU's tokens; taken from the statistics of `bleu`."""
    if statistics.metric != "bleu":
        raise ValueError(f"lengths are part of the statistics of bleu, not of {statistics.metric}")
    return scored("length_ratio", statistics.signature, statistics.values[:, :2])


def by_source_length(
    statistics: SentenceStatistics, sources: Sequence[str], *, edges: Sequence[int] = (10, 20, 30, 40)
) -> dict[Bucket, SentenceStatistics]:
    """The same metric over the sentences whose source has so many words (separated by white space).

    `edges` divide the buckets: 10 begins the second. Buckets come in order; one that no source falls into is
    absent, and every sentence is in exactly one. InputError where there is another number of sources, or
    edges do not rise.
    """
    check_strings("sources", sources)
    if len(sources) != statistics.sentences:
        raise InputError(f"{len(sources)} sources for {statistics.sentences} scored sentences")
    if not edges or edges[0] < 1 or any(a >= b for a, b in pairwise(edges)):
        raise InputError(f"the edges of length buckets must be positive and rise, not {list(edges)}")
    lengths = np.array([len(source.split()) for source in sources])
    buckets = {}
    for low, high in pairwise((0, *edges, math.inf)):
        inside = (low <= lengths) & (lengths < high)
        if inside.any():
            buckets[Bucket(low, high)] = replace(statistics, values=statistics.values[inside])
    return buckets
