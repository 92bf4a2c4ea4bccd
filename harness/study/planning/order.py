"""The order within a round of a seed: conditions shuffled, arms shuffled within a condition, each arm first
equally often.

Everything is drawn from the design's `order_seed`, and no draw knows how many rounds there will be: a study
that goes on for longer runs its first rounds in the same order.
"""

from __future__ import annotations

import random

from harness.study.arms import Combination
from harness.study.loaded import LoadedStudy


def condition_order(loaded: LoadedStudy, place: int) -> list[Combination]:
    """The conditions of the round at this place (rounds of seeds are counted from 0)."""
    order = random.Random(f"{loaded.study.design.order_seed}/{place}")
    return order.sample(loaded.conditions, len(loaded.conditions))


def arm_order(loaded: LoadedStudy, condition: Combination, place: int) -> list[Combination]:
    """The arms under a condition of that round: of as many rounds as there are arms, each begins one."""
    arms = list(loaded.arms)
    cycle, turn = divmod(place, len(arms))
    name = f"{loaded.study.design.order_seed}/{condition.name}"
    first = random.Random(f"{name}/cycle {cycle}").sample(range(len(arms)), len(arms))[turn]
    others = arms[:first] + arms[first + 1 :]
    return [arms[first], *random.Random(f"{name}/{place}").sample(others, len(others))]
