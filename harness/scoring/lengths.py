"""Any score by the length of the source."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from harness.errors import InputError
from harness.scoring.texts import check_strings
from harness.statistics import SentenceStatistics


@dataclass(frozen=True, slots=True)
class Bucket:
    """Sources with at least `low` and fewer than `high` words; `high` may be infinite."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:g}+" if math.isinf(self.high) else f"{self.low:g}-{self.high - 1:g}"


def by_source_length(
    statistics: SentenceStatistics, sources: Sequence[str], *, edges: Sequence[int] = (10, 20, 30, 40)
) -> dict[Bucket, SentenceStatistics]:
    """The statistics of a score, divided by the number of words of the source (separated by white space).

    `edges` divide the buckets: with the default, the second one begins at 10 words. Every sentence is in
    exactly one bucket, and buckets without a sentence are left out. Raises InputError if there is not one
    source per sentence, or if the edges do not increase.
    """
    check_strings("sources", sources)
    if len(sources) != statistics.sentences:
        raise InputError(f"there are {len(sources)} sources for {statistics.sentences} scored sentences")
    if not edges or edges[0] < 1 or any(a >= b for a, b in pairwise(edges)):
        raise InputError(
            f"the edges of length buckets must be positive and increase, but they are {list(edges)}"
        )
    lengths = np.array([len(source.split()) for source in sources])
    buckets = {}
    for low, high in pairwise((0, *edges, math.inf)):
        inside = (low <= lengths) & (lengths < high)
        if inside.any():
            buckets[Bucket(low, high)] = statistics.where(inside)
    return buckets
