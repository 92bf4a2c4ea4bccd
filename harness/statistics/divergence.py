"""Paired outcomes that are yes or no, for example whether a training diverged."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from harness.statistics.paired import check_same_pairs


@dataclass(frozen=True, slots=True)
class McNemar:
    """n pairs, counted by the arms in which the event happened, and the two-sided exact p of "equally
    often".
    """

    n: int
    both: int
    only_arm: int
    only_baseline: int
    neither: int
    p: float


def mcnemar(arm: Mapping[int, bool], baseline: Mapping[int, bool]) -> McNemar:
    """McNemar's test with its exact binomial p (McNemar 1947; Agresti 2013, §11.1) on one outcome per seed.

    Only pairs in which the arms differ carry information: given their number d, the arm's share is
    Binomial(d, ½). Raises ValueError if there are no pairs or if a pair lacks one side.
    """
    check_same_pairs(arm, baseline)
    if not arm:
        raise ValueError("there are no pairs to compare")
    only_arm = sum(arm[key] and not baseline[key] for key in arm)
    only_baseline = sum(baseline[key] and not arm[key] for key in arm)
    both = sum(arm[key] and baseline[key] for key in arm)
    differ, fewer = only_arm + only_baseline, min(only_arm, only_baseline)
    tail = sum(math.comb(differ, k) for k in range(fewer + 1))
    return McNemar(
        n=len(arm),
        both=both,
        only_arm=only_arm,
        only_baseline=only_baseline,
        neither=len(arm) - both - differ,
        p=min(1.0, 2 * tail / 2**differ),
    )
